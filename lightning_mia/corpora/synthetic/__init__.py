"""Synthetic voices: speakers, sentences, synthesis, acoustics."""
