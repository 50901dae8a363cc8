"""Sampling of members, recordings and sizes."""
