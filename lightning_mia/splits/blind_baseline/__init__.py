"""Blind baseline: a classifier on model-free statistics."""
