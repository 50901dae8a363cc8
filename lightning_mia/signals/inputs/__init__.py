"""Inputs of the signals: augmented views, random masks and noise."""
