"""ROC curves with pointwise bands, for reading: the numbers of the tables come from the evaluation room."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.bootstrap import draw_speakers
from lightning_mia.evaluation.statistics.intervals import t_quantile

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
    draws = draw_speakers(scores.speakers, scores.members, n_resamples, seed)
    sides = _Sides.of(scores, draws.speaker)
    tpr = sides.tpr_at(grid, np.ones(draws.weights.shape[1], dtype=np.float32))
    if draws.degrees_of_freedom < 1:
        return RocBand(grid, tpr, np.zeros_like(tpr), np.ones_like(tpr))
    replicates = np.stack([sides.tpr_at(grid, weights) for weights in draws.weights])
    half_width = t_quantile(0.975, draws.degrees_of_freedom) * np.nanstd(replicates, axis=0, ddof=1)
    return RocBand(grid, tpr, np.maximum(tpr - half_width, 0.0), np.minimum(tpr + half_width, 1.0))


@dataclass(frozen=True)
class _Sides:
    """Members and non-members, each by falling score; non-members with equal scores pass a threshold together.

    Attributes:
        member_speaker: (m,) int.
        nonmember_speaker: (k,) int.
        last_of_tie: (k,) int, the last non-member with this one's score.
        n_above: (k,) int, members with a higher score than this non-member.
    """

    member_speaker: np.ndarray
    nonmember_speaker: np.ndarray
    last_of_tie: np.ndarray
    n_above: np.ndarray

    @staticmethod
    def of(scores: Scores, speaker: np.ndarray) -> "_Sides":
        fallen = -scores.values
        members, others = (np.flatnonzero(side) for side in (scores.members, ~scores.members))
        members, others = (places[np.argsort(fallen[places], kind="stable")] for places in (members, others))
        return _Sides(
            member_speaker=speaker[members],
            nonmember_speaker=speaker[others],
            last_of_tie=np.searchsorted(fallen[others], fallen[others], side="right") - 1,
            n_above=np.searchsorted(fallen[members], fallen[others], side="left"),
        )

    def tpr_at(self, grid: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Highest true positive rate at a false positive rate of at most `grid`; NaN where a side has no weight.

        Args:
            grid: (grid,) false positive rates.
            weights: (S,) of speakers.
        """
        positive = np.cumsum(weights[self.member_speaker], dtype=np.float64)
        negative = np.cumsum(weights[self.nonmember_speaker], dtype=np.float64)
        if not positive[-1] or not negative[-1]:
            return np.full(len(grid), np.nan)
        fpr = negative[self.last_of_tie] / negative[-1]  # (k,) where this non-member passes
        first_that_fails = np.searchsorted(fpr, grid, side="right")
        n_passing = np.append(self.n_above, len(positive))[first_that_fails]  # members
        return np.append(0.0, positive / positive[-1])[n_passing]
