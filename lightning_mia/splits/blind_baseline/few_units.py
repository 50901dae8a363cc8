"""Blind baseline of few units: the largest correlation of a single statistic.

A classifier on a hundred statistics learns nothing from a dozen units: cross-fitted, it has AUROC .7 even if one
statistic separates members from non-members completely. With few units the blind baseline therefore also tests the
largest correlation of membership with any single statistic. It uses the values, not their ranks: by ranks, each of a
hundred noise statistics separates some labelling of six and six units perfectly, but two distant clouds are rare.
"""

import numpy as np

FEW_UNITS = 100
"""Number of units up to which single statistics are tested. With more, the classifier finds them by itself."""

N_REFITS = 5000
"""Redraws with few units: p-values well below the limit of .001, which costs no more than 1000 with 500 units."""


def count_redraws(n_units: int, n_redraws: int) -> int:
    """Return the number of redraws for a blind baseline of `n_units`.

    >>> count_redraws(12, 1000), count_redraws(400, 1000)
    (5000, 1000)
    """
    return max(n_redraws, N_REFITS) if n_units <= FEW_UNITS else n_redraws


def largest_correlations(statistics: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the largest absolute correlation of membership with a statistic.

    Args:
        statistics: (n, d) float64; constant columns are ignored.
        labels: (R, n) bool, one labelling per row.

    Returns:
        (R,) float64; 0 without statistics, or for a row without members or without non-members.

    >>> largest_correlations(np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 1.0]]), np.array([[False, True, False]]))
    array([1.])
    """
    targets, columns = _normalised(labels.astype(np.float64).T), _normalised(statistics)  # (n, R), (n, d)
    return np.abs(targets.T @ columns).max(axis=1, initial=0.0)


def _normalised(columns: np.ndarray) -> np.ndarray:
    """Centre columns and scale them to length 1; constant columns are 0."""
    centred = columns - columns.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    varying = (columns != columns[:1]).any(axis=0)
    return np.divide(centred, lengths, out=np.zeros_like(centred), where=varying & (lengths > 0))
