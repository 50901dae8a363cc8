"""Statistics of scores: AUROC, ROC, intervals, permutation tests, power."""
