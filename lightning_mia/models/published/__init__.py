"""Encoders of published TERA and CPC checkpoints, in their original formats."""
