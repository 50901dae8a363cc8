"""Sums of scores over the members of many labellings: what every redraw of a split comes down to."""

import numpy as np

CHUNK = 2_000_000  # matrix elements held in float64 at one go: 16 MB


def labelled_sums(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum over the members of every labelling; labels are turned into numbers once for all rows of `values`.

    Args:
        values: (..., n) float64.
        labels: (R, n) bool, one labelling a row.

    Returns:
        (..., R) float64.

    >>> labelled_sums(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[True, False], [True, True], [False, False]]))
    array([[1., 3., 0.],
           [3., 7., 0.]])
    """
    rows = max(1, CHUNK // values.shape[-1])
    starts = range(0, len(labels), rows)
    sums = [values @ labels[start : start + rows].T.astype(np.float64) for start in starts]
    return np.concatenate(sums, axis=-1) if sums else np.empty((*values.shape[:-1], 0))
