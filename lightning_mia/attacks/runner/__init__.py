"""Run attacks: defaults, scoring, cache, simulated evidence."""
