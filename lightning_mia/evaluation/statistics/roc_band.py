"""ROC curves with pointwise confidence bands, for figures."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.bootstrap import draw_speakers
from lightning_mia.evaluation.statistics.intervals import t_quantile

N_RESAMPLES = 200
"""Bootstrap draws; sufficient for a figure: the relative error of the standard error is about 5 %."""


@dataclass(frozen=True)
class RocBand:
    """ROC curve with a pointwise 95 % band.

    Nothing is interpolated: `tpr` is the highest true positive rate at a false positive rate of at most `fpr`.
    """

    fpr: np.ndarray  # (grid,)
    tpr: np.ndarray  # (grid,)
    lower: np.ndarray  # (grid,) pointwise 95 %, at most tpr
    upper: np.ndarray  # (grid,) at least tpr


def roc_band(scores: Scores, grid: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> RocBand:
    """Compute the ROC curve and its bootstrap band over speakers.

    The band is the curve ± Student's t times the standard error of the cluster bootstrap, as for the interval of the
    AUROC, cut to [0, 1]. With too few speakers for an interval, it covers [0, 1].

    Args:
        scores: of n units.
        grid: (grid,) false positive rates.
        n_resamples: number of bootstrap draws of speakers.
        seed: of the draws.

    >>> scores = Scores("loss", "utterance", "grey-box", False, ["a", "b", "c", "d"], ["s", "s", "t", "t"],
    ...                 [True, False, True, False], [0.9, 0.4, 0.6, 0.7])
    >>> roc_band(scores, np.array([0.0, 0.5, 1.0])).tpr
    array([0.5, 1. , 1. ])
    """
    draws = draw_speakers(scores.speakers, scores.members, n_resamples, seed)
    curve = _Curve.from_scores(scores, draws.speaker)
    tpr = curve.tpr_at(grid, np.ones(draws.weights.shape[1], dtype=np.float32))
    if draws.degrees_of_freedom < 1:
        return RocBand(grid, tpr, np.zeros_like(tpr), np.ones_like(tpr))
    replicates = np.stack([curve.tpr_at(grid, weights) for weights in draws.weights])
    half_width = t_quantile(0.975, draws.degrees_of_freedom) * np.nanstd(replicates, axis=0, ddof=1)
    return RocBand(grid, tpr, np.maximum(tpr - half_width, 0.0), np.minimum(tpr + half_width, 1.0))


@dataclass(frozen=True)
class _Curve:
    """Members and non-members, each by descending score.

    Attributes:
        member_speaker: (m,) int.
        nonmember_speaker: (k,) int.
        tie_ends: (k,) int, index of the last non-member with the same score.
        n_above: (k,) int, number of members with a higher score than this non-member.
    """

    member_speaker: np.ndarray
    nonmember_speaker: np.ndarray
    tie_ends: np.ndarray
    n_above: np.ndarray

    @staticmethod
    def from_scores(scores: Scores, speaker: np.ndarray) -> "_Curve":
        """Sort members and non-members by descending score."""
        descending = -scores.values
        members, nonmembers = np.flatnonzero(scores.members), np.flatnonzero(~scores.members)
        members = members[np.argsort(descending[members], kind="stable")]
        nonmembers = nonmembers[np.argsort(descending[nonmembers], kind="stable")]
        return _Curve(
            member_speaker=speaker[members],
            nonmember_speaker=speaker[nonmembers],
            tie_ends=np.searchsorted(descending[nonmembers], descending[nonmembers], side="right") - 1,
            n_above=np.searchsorted(descending[members], descending[nonmembers], side="left"),
        )

    def tpr_at(self, grid: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the highest TPR within each FPR of `grid`.

        NaN if members or non-members have no weight.

        Args:
            grid: (grid,) false positive rates.
            weights: (S,) of speakers.
        """
        positive = np.cumsum(weights[self.member_speaker], dtype=np.float64)
        negative = np.cumsum(weights[self.nonmember_speaker], dtype=np.float64)
        if not positive[-1] or not negative[-1]:
            return np.full(len(grid), np.nan)
        fpr = negative[self.tie_ends] / negative[-1]  # (k,) at the threshold that admits this non-member
        first_excluded = np.searchsorted(fpr, grid, side="right")
        n_admitted = np.append(self.n_above, len(positive))[first_excluded]  # members
        return np.append(0.0, positive / positive[-1])[n_admitted]
