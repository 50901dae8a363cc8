"""Classifiers and quantile regressors on signals, and how they are fitted."""
