"""Batches of recordings: datasets, samplers, augmentation."""
