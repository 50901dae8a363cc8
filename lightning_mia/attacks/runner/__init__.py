"""Run attacks: default attacks, scoring, caching of scores."""
