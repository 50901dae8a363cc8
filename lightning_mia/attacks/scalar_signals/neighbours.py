"""Where a recording's pooled vector lies among those of other recordings, by the same model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import layer_suffix
from lightning_mia.attacks.classifiers.examples import Reader
from lightning_mia.attacks.scalar_signals.encoder import BlackBoxSignal
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


class NearestNeighbours(BlackBoxSignal):
    """Mean cosine with the nearest of all recordings that the model was asked about.

    Cosines are of what is left when the mean of all recordings is taken away.

    Args:
        k: neighbours.
        layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
    """

    def __init__(self, k: int = 5, layer: int = -1) -> None:
        if k < 1:
            raise InputError(f"k of NearestNeighbours is {k}: give 1 or more")
        self.k, self.layer = k, layer

    @property
    def name(self) -> str:
        """`neighbours`, with k and the layer where they are not the usual ones."""
        return "neighbours" + ("" if self.k == 5 else f"_k{self.k}") + layer_suffix(self.layer)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column."""
        pooled = signals.pooled_layer(self.layer)
        unit = directions(pooled.to_numpy())
        nearest = [mean_of_nearest(*part, self.k) for part in _cosines_with_others(unit)]
        return pd.DataFrame({self.name: np.concatenate(nearest)}, index=pooled.index)


def read_neighbourhood(auxiliary: pd.DataFrame, k: int = 5, layer: int = -1) -> Reader:
    """Read statistics of a recording's neighbourhood, for a learned attack.

    The columns: `neighbours_auxiliary`, mean cosine with the k nearest auxiliary recordings; `neighbours_speaker_mean`
    and `neighbours_speaker_nearest`, with the speaker's other queried recordings; `neighbours_imposter_mean` and
    `neighbours_imposter_nearest`, with those of other speakers, all and the k nearest; `neighbours_rank`, the share of
    imposters' recordings that are less alike than the speaker's own are on average. A speaker with a single recording
    has none of its own: NaN. Cosines are of what is left when the mean of the queried recordings is taken away.

    Args:
        auxiliary: recordings that no model was trained on, column `id`; may be empty.
        k: neighbours.
        layer: as in `NearestNeighbours`.

    Returns:
        A reader for `shadow_examples`; the queried recordings are those that it is given.
    """

    def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        pooled = signals.pooled_layer(layer)
        queried = pooled.loc[recordings["id"]].to_numpy()
        centre = queried.mean(axis=0)
        unit = directions(queried, centre)
        around = directions(pooled.reindex(auxiliary["id"]).dropna().to_numpy(), centre)
        speakers = recordings["speaker"].to_numpy()
        everyone = np.arange(len(unit))
        parts = []
        for rows in _slices(len(unit)):
            own = (speakers[rows, None] == speakers) & (everyone[rows, None] != everyone)
            parts.append(_neighbours(unit[rows] @ unit.T, own, speakers[rows, None] != speakers, k))
        table = pd.concat(parts, ignore_index=True)
        if len(around):
            nearest = [mean_of_nearest(unit[rows] @ around.T, None, k) for rows in _slices(len(unit))]
            table.insert(0, "neighbours_auxiliary", np.concatenate(nearest))
        return table.set_axis(pd.Index(recordings["id"]))

    return read


def _neighbours(cosines: np.ndarray, own: np.ndarray, imposters: np.ndarray, k: int) -> pd.DataFrame:
    """Statistics of some recordings among all queried ones.

    Args:
        cosines: (rows, n).
        own: (rows, n) bool, other recordings of the same speaker.
        imposters: (rows, n) bool.
        k: neighbours.
    """
    own_mean, imposter_mean = _mean(cosines, own), _mean(cosines, imposters)
    closer = (imposters & (cosines < own_mean[:, None])).sum(axis=1)
    n_imposters = np.where(own.any(axis=1), imposters.sum(axis=1), 0)
    rank = np.divide(closer, n_imposters, out=np.full(len(cosines), np.nan), where=n_imposters > 0)
    return pd.DataFrame(
        {
            "neighbours_speaker_mean": own_mean,
            "neighbours_speaker_nearest": mean_of_nearest(cosines, own, 1),
            "neighbours_imposter_mean": imposter_mean,
            "neighbours_imposter_nearest": mean_of_nearest(cosines, imposters, k),
            "neighbours_rank": rank,
        }
    )


def directions(vectors: np.ndarray, centre: np.ndarray | None = None) -> np.ndarray:
    """(n, dim) → unit vectors from the centre, by default the mean; a vector at the centre stays 0."""
    away = vectors - (vectors.mean(axis=0) if centre is None else centre)
    norms = np.linalg.norm(away, axis=1, keepdims=True)
    return np.divide(away, norms, out=np.zeros_like(away), where=norms > 0)


def mean_of_nearest(cosines: np.ndarray, counted: np.ndarray | None, k: int) -> np.ndarray:
    """Mean of the k highest cosines of every row among those that count, or of all if there are fewer.

    Args:
        cosines: (rows, n).
        counted: (rows, n) bool; None: all count.
        k: neighbours.

    Returns:
        (rows,); NaN where none counts.

    >>> mean_of_nearest(np.array([[0.1, 0.5, 0.9]]), np.array([[True, True, False]]), 1)
    array([0.5])
    """
    k = min(k, cosines.shape[1])
    values = cosines if counted is None else np.where(counted, cosines, -np.inf)
    nearest = -np.partition(-values, k - 1, axis=1)[:, :k]
    return _mean(nearest, np.isfinite(nearest))


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    count = counted.sum(axis=1)
    total = np.where(counted, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _slices(n: int, at_once: int = 1024) -> list[slice]:
    """Rows that are compared with all at one go."""
    return [slice(start, start + at_once) for start in range(0, n, at_once)]


def _cosines_with_others(unit: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cosines (rows, n) of some vectors at a time with all, and which of these are other vectors."""
    everyone = np.arange(len(unit))
    for rows in _slices(len(unit)):
        yield unit[rows] @ unit.T, everyone[rows, None] != everyone
