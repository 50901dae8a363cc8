"""Probe a model: batches, Trainer, and streams of hidden states."""
