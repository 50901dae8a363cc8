"""Signals of shadow models: matrices, moments, direction."""
