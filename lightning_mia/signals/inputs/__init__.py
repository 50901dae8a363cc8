"""Inputs of the signals: augmented waveforms and random masks."""
