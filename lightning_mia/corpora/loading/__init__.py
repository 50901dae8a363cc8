"""Batches of recordings: datasets, batch sampler, augmentation."""
