"""Utility of a model: downstream accuracy and pretext score on held-out recordings, to weigh against leakage."""
