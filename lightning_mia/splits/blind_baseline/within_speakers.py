"""Classifier that compares recordings of the same speaker."""

import numpy as np
import pandas as pd

from lightning_mia.splits.blind_baseline.cross_fit import CrossFit
from lightning_mia.splits.blind_baseline.own_directions import OwnDirections

HALF_WEIGHT = 30.0
"""Units per speaker at which the fit of each speaker alone has half the weight of the fit over all speakers."""


def divided_speakers(labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Mark units of speakers who have both labels in some labelling, (n,) bool.

    All labellings count alike, so that observed and redrawn ones stay exchangeable.

    Args:
        labels: (1 + R, n) bool, observed and redrawn.
        speakers: (n,) str.
    """
    speaker = np.unique(speakers, return_inverse=True)[1]
    order = np.argsort(speaker, kind="stable")
    starts = np.flatnonzero(np.diff(speaker[order], prepend=-1))
    both = np.zeros(len(starts), bool)
    for row in labels:
        members = np.add.reduceat(row[order].astype(int), starts)
        both |= (members > 0) & (members < np.diff(starts, append=len(order)))
        if both.all():
            break
    return both[speaker]


def centred_by_speaker(features: np.ndarray, speakers: np.ndarray, divided: np.ndarray) -> np.ndarray:
    """Subtract each divided speaker's mean, and scale as before, (n, d).

    Where labels differ within speakers, differences between voices are noise.
    """
    centred = features.copy()
    own = pd.DataFrame(features[divided]).groupby(speakers[divided], sort=False)
    centred[divided] -= own.transform("mean").to_numpy()
    before, after = features.std(axis=0), centred.std(axis=0)
    varying = after > 1e-9
    return centred[:, varying] * (before[varying] / after[varying])


class WithinSpeakers:
    """Sum of two cross-fits: over all speakers, and of each speaker alone.

    The first finds what sets members apart everywhere, the second what sets them apart differently for each speaker,
    such as two sessions in different rooms. Both are standardised, and the second counts the more, the more units a
    speaker has to learn from.

    Args:
        features: (n, d), from `centred_by_speaker`.
        speakers: (n,) str.
    """

    def __init__(self, features: np.ndarray, speakers: np.ndarray) -> None:
        self._overall, self._own = CrossFit(features, speakers), OwnDirections(features, speakers)
        _, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
        typical = float(counts[speaker].mean())  # units of a unit's speaker
        self._weight = typical / (typical + HALF_WEIGHT)

    def scores(self, members: np.ndarray) -> np.ndarray:
        """Fit to labels, (n, R) 0/1, and score all units, (n, R)."""
        overall, own = (_standardised_columns(fit.scores(members)) for fit in (self._overall, self._own))
        return overall + self._weight * own


def _standardised_columns(scores: np.ndarray) -> np.ndarray:
    deviations = scores.std(axis=0)
    return np.divide(scores, deviations, out=np.zeros_like(scores), where=deviations > 1e-12)
