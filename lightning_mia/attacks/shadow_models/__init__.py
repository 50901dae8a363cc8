"""Signals under shadow models: matrix, IN and OUT moments, direction."""
