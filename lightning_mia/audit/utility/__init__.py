"""Utility of a model: downstream accuracy, to weigh against leakage."""
