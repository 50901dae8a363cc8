"""Per-unit means of signals, standardised model by model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Units:
    """Units of recordings, in order of first appearance.

    Attributes:
        names: (units,).
        rows: (recordings,) int, row of each recording in the arrays to average.
        codes: (recordings,) int, unit of each recording.
    """

    names: pd.Index
    rows: np.ndarray
    codes: np.ndarray

    @classmethod
    def locate(cls, recordings: pd.DataFrame, ids: pd.Index) -> Units:
        """Find each recording's unit, and its row in arrays.

        Args:
            recordings: columns `id`, `unit_id`.
            ids: recording of each row of the arrays.
        """
        codes, names = pd.factorize(recordings["unit_id"])
        return cls(pd.Index(names), ids.get_indexer(pd.Index(recordings["id"])), codes)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average by unit, (rows, d) → (units, d).

        >>> recordings = pd.DataFrame({"id": ["a", "b", "c"], "unit_id": ["s", "s", "t"]})
        >>> Units.locate(recordings, pd.Index(["a", "b", "c"])).mean(np.array([[1.0], [3.0], [5.0]])).ravel()
        array([2., 5.])
        """
        if len(self.names) == len(self.codes):
            return values[self.rows]
        total = np.zeros((len(self.names), values.shape[1]))
        np.add.at(total, self.codes, values[self.rows])
        return total / np.bincount(self.codes, minlength=len(self.names))[:, None]


def standardise(
    values: np.ndarray, reference: np.ndarray, fallback: np.ndarray | float = 1.0, axis: int | None = 0
) -> np.ndarray:
    """Centre by median and scale by interquartile range.

    Args:
        values: (n, d).
        reference: (m, d), rows that define median and interquartile range.
        fallback: scale if the interquartile range is 0.
        axis: 0 standardises each column, None all columns together.

    >>> standardise(np.array([[9.0]]), np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]))
    array([[3.]])
    """
    low, centre, high = np.percentile(reference, [25, 50, 75], axis=axis)
    return (values - centre) / np.where(high > low, high - low, fallback)
