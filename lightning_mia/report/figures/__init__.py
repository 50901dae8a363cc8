"""ROC curves, score histograms, curves over numbers of shadow models."""
