"""Synthetic voices: speakers, sentences, speech synthesis, room acoustics."""
