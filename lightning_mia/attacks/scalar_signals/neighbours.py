"""Similarity of a recording's pooled vector to its nearest neighbours."""

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import layer_suffix
from lightning_mia.attacks.scalar_signals.hidden_states import BlackBoxSignal
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.ranges import Count, Layer, check_ranges

DEFAULT_K = 5
ROWS_AT_ONCE = 1024  # bounds the memory for cosines


class NearestNeighbours(BlackBoxSignal):
    """Mean cosine with the k nearest recordings.

    Neighbours are sought among all probed recordings, after subtracting the mean of their vectors.

    Args:
        k: neighbours.
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.

    Example:
        >>> pooled = np.array([[[1.0, 0.0]], [[2.0, 0.0]], [[-3.0, 0.1]]])
        >>> signals = Signals(pd.DataFrame(index=["a", "b", "c"]), pooled)
        >>> NearestNeighbours(k=1).read(signals)["neighbours_k1"].round(2).tolist()
        [1.0, 1.0, -1.0]
    """

    base_name = "neighbours"

    def __init__(self, k: Count = DEFAULT_K, layer: Layer = -1) -> None:
        self.k, self.layer = k, layer
        check_ranges(NearestNeighbours.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """k and the layer unless default."""
        return "" if self.k == DEFAULT_K else f"k{self.k}", layer_suffix(self.layer)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column."""
        pooled = signals.pooled_layer(self.layer)
        vectors = centred_unit_vectors(pooled.to_numpy())
        row = np.arange(len(vectors))
        blocks = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(vectors), ROWS_AT_ONCE)]
        nearest = [mean_of_nearest(vectors[block] @ vectors.T, row[block, None] != row, self.k) for block in blocks]
        return pd.DataFrame({self.name: np.concatenate(nearest)}, index=pooled.index)


def centred_unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Subtract the mean vector and scale to length 1.

    A vector (dim,) equal to the mean stays 0.
    """
    centred = vectors - vectors.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)


def mean_of_nearest(cosines: np.ndarray, counted: np.ndarray, k: int) -> np.ndarray:
    """Average the k highest counted cosines of every row.

    Args:
        cosines: (rows, n).
        counted: (rows, n) bool.
        k: neighbours.

    Returns:
        (rows,); NaN for a row without counted cosines.

    >>> mean_of_nearest(np.array([[0.1, 0.5, 0.9]]), np.array([[True, True, False]]), 1)
    array([0.5])
    """
    k = min(k, cosines.shape[1])
    nearest = -np.partition(-np.where(counted, cosines, -np.inf), k - 1, axis=1)[:, :k]
    finite = np.isfinite(nearest)
    count = finite.sum(axis=1)
    total = np.where(finite, nearest, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(nearest), np.nan), where=count > 0)
