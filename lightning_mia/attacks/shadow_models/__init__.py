"""Signals of shadow models: matrices, IN and OUT moments, direction of the effect."""
