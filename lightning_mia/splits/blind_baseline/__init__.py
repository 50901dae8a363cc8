"""Blind baseline: predict membership from model-free statistics."""
