"""The ROC curve and what is read off it: the advantage, and the TPR at a fixed FPR.

A unit counts as positive where score ≥ threshold, so that units with equal scores fall on the same side.
All of it is read off the challenge set's own curve and is therefore descriptive.
"""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.auroc import CHUNK, check, float64_by_default
from lightning_mia.evaluation.rates import rate_interval
from lightning_mia.evaluation.results import TprAtFpr
from lightning_mia.evaluation.scores import Scores

FEWEST_FALSE_POSITIVES = 10  # expected at the FPR that was asked for; below, the TPR there is noise


@dataclass(frozen=True)
class Roc:
    """An ROC curve of T points, from (0, 0) to (1, 1); both rates rise, the thresholds fall.

    Attributes:
        fpr: (T,) share of non-members with score ≥ threshold.
        tpr: (T,) share of members with score ≥ threshold.
        thresholds: (T,) the distinct scores, after an infinite one that nobody reaches.
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray


def roc_curve(values: np.ndarray, members: np.ndarray) -> Roc:
    """ROC curve of `values` (n,) float64 for `members` (n,) bool, by torchmetrics on CPU.

    Raises:
        ValueError: a value is not finite, or one side is empty.
    """
    import torch
    from torchmetrics.classification import BinaryROC

    check(values, members)
    metric = BinaryROC(thresholds=None, normalization=None, sync_on_compute=False)
    with float64_by_default():
        metric.update(torch.tensor(values, dtype=torch.float64), torch.tensor(members, dtype=torch.int64))
        fpr, tpr, thresholds = (points.numpy().copy() for points in metric.compute())
    thresholds[0] = np.inf  # torchmetrics puts 1 there, which raw scores may exceed
    return Roc(fpr, tpr, thresholds)


def tpr_at_fpr(scores: Scores, fpr: float) -> TprAtFpr:
    """TPR at the lowest threshold whose realised FPR is at most `fpr`."""
    threshold = threshold_at(scores, fpr)
    positive = scores.values >= threshold  # (n,) bool
    members, nonmembers = scores.members, ~scores.members
    return TprAtFpr(
        fpr=fpr,
        achieved_fpr=float(positive[nonmembers].mean()),
        achieved_fpr_ci95=rate_interval(positive[nonmembers], scores.speakers[nonmembers]),
        tpr=float(positive[members].mean()),
        tpr_ci95=rate_interval(positive[members], scores.speakers[members]),
        resolvable=bool(scores.n_nonmembers * fpr > FEWEST_FALSE_POSITIVES - 1e-9),
    )


def threshold_at(scores: Scores, fpr: float) -> float:
    """The lowest threshold whose realised FPR is at most `fpr`; infinite where the highest scores are non-members'."""
    curve = roc_curve(scores.values, scores.members)
    return float(curve.thresholds[np.flatnonzero(curve.fpr <= fpr)[-1]])


def advantages(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """max(TPR − FPR) over thresholds, for the same scores and many labellings.

    Args:
        values: (n,) scores.
        labels: (R, n) bool, one labelling a row.

    Returns:
        (R,) float64, never negative: a threshold that nobody reaches gives 0.

    >>> advantages(np.array([3.0, 2.0, 1.0]), np.array([[True, False, False], [False, True, False]]))
    array([1. , 0.5])
    """
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.append(np.diff(values[order]) != 0, True)  # (n,) a threshold never cuts a tie
    rows = max(1, CHUNK // len(values))
    chunks = (labels[start : start + rows, order] for start in range(0, len(labels), rows))
    return np.concatenate([_advantages_of_sorted(chunk, last_of_tie) for chunk in chunks])


def _advantages_of_sorted(labels: np.ndarray, last_of_tie: np.ndarray) -> np.ndarray:
    n_members = np.maximum(labels.sum(axis=1, keepdims=True), 1)  # (R, 1); an empty side gives rates of 0
    n_nonmembers = np.maximum((~labels).sum(axis=1, keepdims=True), 1)
    tpr = np.cumsum(labels, axis=1)[:, last_of_tie] / n_members  # (R, thresholds)
    fpr = np.cumsum(~labels, axis=1)[:, last_of_tie] / n_nonmembers
    return np.maximum((tpr - fpr).max(axis=1), 0.0)
