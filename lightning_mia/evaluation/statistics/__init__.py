"""AUROC, ROC curve, resampling, confidence intervals and power."""
