"""ROC curves with pointwise bands, for reading: the numbers of the tables come from the evaluation room."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.bootstrap import draw_speakers
from lightning_mia.evaluation.intervals import t_quantile
from lightning_mia.evaluation.scores import Scores

N_RESAMPLES = 200
"""Enough for a standard error that is drawn, not tested: its own relative error is about 5 %."""


@dataclass(frozen=True)
class RocBand:
    """One attack's ROC, evaluated at given false positive rates.

    `tpr` is the highest true positive rate whose false positive rate does not exceed `fpr`: nothing is
    interpolated.
    """

    fpr: np.ndarray  # (grid,)
    tpr: np.ndarray  # (grid,)
    lower: np.ndarray  # (grid,) pointwise 95 %, at most tpr
    upper: np.ndarray  # (grid,) at least tpr


def linear_grid(n_nonmembers: int) -> np.ndarray:
    """At most 101 of the false positive rates k / `n_nonmembers`, evenly from 0 to 1."""
    return np.unique(np.round(np.linspace(0, n_nonmembers, 101))) / n_nonmembers


def logarithmic_grid(n_nonmembers: int) -> np.ndarray:
    """At most 61 of the false positive rates k / `n_nonmembers` above 0, evenly on a logarithmic axis."""
    return np.unique(np.round(np.geomspace(1, n_nonmembers, 61))) / n_nonmembers


def roc_band(scores: Scores, grid: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> RocBand:
    """Read the ROC of `scores` at `grid` and bootstrap a band around it over speakers.

    The band is the point ± Student's t times the standard error of the cluster bootstrap, as for the interval
    of the AUROC, cut to [0, 1]. Where there are too few speakers for any interval, it is everything.

    Args:
        scores: of n units.
        grid: (grid,) false positive rates at which to read.
        n_resamples: how many times speakers are drawn.
        seed: of the draws.
    """
    order = np.argsort(-scores.values, kind="stable")
    # A threshold stands after the last of a run of equal scores.
    ends = np.append(np.flatnonzero(np.diff(scores.values[order])), len(order) - 1)
    members = scores.members[order]
    draws = draw_speakers(scores.speakers[order], members, n_resamples, seed)
    tpr = _tpr_at(grid, np.ones(len(order)), members, ends)
    if draws.degrees_of_freedom < 1:
        return RocBand(grid, tpr, np.zeros_like(tpr), np.ones_like(tpr))
    replicates = np.stack([_tpr_at(grid, row[draws.speaker], members, ends) for row in draws.weights])
    half_width = t_quantile(0.975, draws.degrees_of_freedom) * np.nanstd(replicates, axis=0, ddof=1)
    return RocBand(grid, tpr, np.maximum(tpr - half_width, 0.0), np.minimum(tpr + half_width, 1.0))


def _tpr_at(grid: np.ndarray, weights: np.ndarray, members: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Highest true positive rate at a false positive rate of at most `grid`; NaN where a side has no weight.

    Args:
        grid: (grid,) false positive rates.
        weights: (n,) of units in the order of falling scores.
        members: (n,) bool, in that order.
        ends: (thresholds,) positions after which a threshold can stand.
    """
    positive = np.cumsum(weights * members, dtype=np.float64)
    negative = np.cumsum(weights * ~members, dtype=np.float64)
    if not positive[-1] or not negative[-1]:
        return np.full(len(grid), np.nan)
    tpr = np.append(0.0, positive[ends] / positive[-1])
    fpr = np.append(0.0, negative[ends] / negative[-1])
    return tpr[np.searchsorted(fpr, grid, side="right") - 1]
