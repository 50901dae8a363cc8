"""Pretraining objectives: contrastive loss, k-means targets, transcripts."""
