"""Classifiers and quantile regressions on signals."""
