"""Pretext losses and scores: contrastive, k-means clusters, CTC transcripts."""
