"""Figures of attacks: ROC curves, score histograms, curves over the number of shadow models."""
