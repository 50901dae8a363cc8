"""Comparison of finished runs as page and text."""
