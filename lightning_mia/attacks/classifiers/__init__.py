"""Classifiers and quantile regressions on signals, and how they are fitted."""
