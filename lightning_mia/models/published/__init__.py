"""Encoders of published TERA and CPC checkpoints."""
