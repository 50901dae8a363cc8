"""ROC curve, advantage, and TPR at a fixed FPR.

A unit is positive if score ≥ threshold, so that a threshold never separates units with equal scores. All figures are
read off the challenge set's own curve and are therefore descriptive.
"""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import TprAtFpr
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import check_scores, float64_by_default
from lightning_mia.evaluation.statistics.operating_points import OperatingPoints
from lightning_mia.evaluation.statistics.rates import rate_interval

BLOCK = 2**16  # scores that are sorted at once: 0.5 MB, so that they stay in the cache
CHUNK = 200_000  # matrix elements processed at once; they fit into a core's cache
MIN_FALSE_POSITIVES = 10  # expected at the requested FPR; with fewer, the TPR there is noise


@dataclass(frozen=True)
class Roc:
    """ROC curve of T points, by descending threshold.

    The points run from (0, 0) to (1, 1).

    Attributes:
        fpr: (T,) share of non-members with score ≥ threshold.
        tpr: (T,) share of members with score ≥ threshold.
        thresholds: (T,) infinity, then the distinct scores.

    Example:
        >>> curve = roc_curve(np.array([0.1, 0.4, 0.8]), np.array([False, False, True]))
        >>> curve.tpr[curve.fpr == 0].max()
        np.float64(1.0)
    """

    fpr: np.ndarray
    tpr: np.ndarray
    thresholds: np.ndarray


def roc_curve(values: np.ndarray, members: np.ndarray) -> Roc:
    """Compute the ROC curve by torchmetrics on CPU.

    Args:
        values: (n,) float64 scores.
        members: (n,) bool.

    Raises:
        ValueError: a value is not finite, or there are no members or no non-members.

    Example:
        >>> curve = roc_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
        >>> list(zip(curve.thresholds.tolist(), curve.fpr.tolist(), curve.tpr.tolist()))
        [(inf, 0.0, 0.0), (0.8, 0.0, 0.5), (0.4, 0.5, 0.5), (0.35, 0.5, 1.0), (0.1, 1.0, 1.0)]
    """
    import torch
    from torchmetrics.classification import BinaryROC

    check_scores(values, members)
    metric = BinaryROC(thresholds=None, normalization=None, sync_on_compute=False)
    with float64_by_default():
        metric.update(torch.tensor(values, dtype=torch.float64), torch.tensor(members, dtype=torch.int64))
        fpr, tpr, thresholds = (points.numpy().copy() for points in metric.compute())
    thresholds[0] = np.inf  # torchmetrics sets it to 1, which raw scores may exceed
    return Roc(fpr, tpr, thresholds)


def tpr_at_fpr(scores: Scores, fpr: float) -> TprAtFpr:
    """Compute the TPR at a fixed FPR.

    The threshold is the lowest whose FPR is at most `fpr`.
    """
    positive = scores.values >= threshold_at(scores, fpr)  # (n,) bool
    members, nonmembers = scores.members, ~scores.members
    points = OperatingPoints.of(scores.values, members, scores.speakers)
    return TprAtFpr(
        fpr=fpr,
        achieved_fpr=float(positive[nonmembers].mean()),
        achieved_fpr_ci95=rate_interval(positive[nonmembers], scores.speakers[nonmembers]),
        tpr=float(positive[members].mean()),
        tpr_ci95=points.tpr_interval(fpr),
        resolvable=bool(scores.n_nonmembers * fpr > MIN_FALSE_POSITIVES - 1e-9),
    )


def threshold_at(scores: Scores, fpr: float) -> float:
    """Find the lowest threshold whose FPR is at most `fpr`.

    It is infinite if too many non-members share the highest score.
    """
    curve = roc_curve(scores.values, scores.members)
    return float(curve.thresholds[np.flatnonzero(curve.fpr <= fpr)[-1]])


def highest_tpr(values: np.ndarray, members: np.ndarray, fpr: float) -> float:
    """Compute the highest TPR at an FPR of at most `fpr`.

    Args:
        values: (n,) float64 scores.
        members: (n,) bool.
        fpr: false positive rate.

    >>> highest_tpr(np.array([4.0, 3.0, 3.0, 1.0]), np.array([True, True, False, False]), fpr=0.4)
    0.5
    """
    curve = roc_curve(values, members)
    return float(curve.tpr[curve.fpr <= fpr].max())


def advantages(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute max(TPR − FPR) for many labellings.

    Args:
        values: (n,) scores.
        labels: (R, n) bool, one labelling per row.

    Returns:
        (R,) float64, never negative, because an infinite threshold gives 0; 0 for a row without members or without
        non-members.

    >>> advantages(np.array([3.0, 2.0, 1.0]), np.array([[True, False, False], [False, True, False]]))
    array([1. , 0.5])
    """
    order = np.argsort(-values, kind="stable")
    tie_ends = np.append(np.diff(values[order]) != 0, True)  # (n,) a threshold never separates equal scores
    thresholds = slice(None) if tie_ends.all() else np.flatnonzero(tie_ends)
    n_positives = np.arange(1.0, 1.0 + len(values))[thresholds]  # (T,) units at or above each threshold
    rows = max(1, CHUNK // len(values))
    chunks = (np.take(labels[start : start + rows], order, axis=1) for start in range(0, len(labels), rows))
    return np.concatenate([_sorted_advantages(chunk, thresholds, n_positives) for chunk in chunks])


def aurocs_and_advantages(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute AUROC and advantage row by row.

    The scores of a row belong to its labels.

    Args:
        values: (R, n) scores.
        labels: (R, n) bool.

    Returns:
        (R,) float64 twice; 0.5 and 0 for a row without members or without non-members.

    >>> aurocs_and_advantages(np.array([[1.0, 2.0, 2.0]]), np.array([[False, False, True]]))
    (array([0.75]), array([0.5]))
    """
    rows = max(1, BLOCK // max(values.shape[1], 1))
    blocks = [slice(start, start + rows) for start in range(0, max(len(values), 1), rows)]
    results = [_aurocs_and_advantages(values[block], labels[block]) for block in blocks]
    aurocs, gains = (np.concatenate(parts) for parts in zip(*results, strict=True))
    return aurocs, gains


def _sorted_advantages(labels: np.ndarray, thresholds: slice | np.ndarray, n_positives: np.ndarray) -> np.ndarray:
    """Maximise TPR − FPR over thresholds.

    With h of the p positives among the m members: h/m − (p − h)/k = h (1/m + 1/k) − p/k.
    """
    n_members = np.count_nonzero(labels, axis=1, keepdims=True)  # (R, 1)
    n_nonmembers = labels.shape[1] - n_members
    per_member, per_nonmember = 1 / np.maximum(n_members, 1), 1 / np.maximum(n_nonmembers, 1)
    hits = np.cumsum(labels, axis=1, dtype=np.int32)[:, thresholds]  # (R, T)
    gain = hits * (per_member + per_nonmember)
    gain -= n_positives * per_nonmember
    return np.where((n_members > 0) & (n_nonmembers > 0), gain.max(axis=1, keepdims=True), 0.0).clip(min=0.0)[:, 0]


def _aurocs_and_advantages(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute AUROCs and advantages by one sort of each row.

    Members and non-members are counted from the lowest score up, ties together.
    """
    order = np.argsort(values, axis=1)
    values, members = (np.take_along_axis(each, order, axis=1) for each in (values, labels))  # (R, n)
    below = np.cumsum(members, axis=1, dtype=np.int32)  # members at or below each score
    others = np.arange(1, values.shape[1] + 1, dtype=np.int32) - below
    n_members, n_others = below[:, -1:], others[:, -1:]
    both = ((n_members > 0) & (n_others > 0))[:, 0]
    gains = others / np.maximum(n_others, 1) - below / np.maximum(n_members, 1)
    tied = values[:, 1:] == values[:, :-1]  # with the next score
    if tied.any():
        last = np.pad(~tied, ((0, 0), (0, 1)), constant_values=True)
        first = np.pad(~tied, ((0, 0), (1, 0)), constant_values=True)
        to_last = np.minimum.accumulate(np.where(last, others, values.shape[1])[:, ::-1], axis=1)[:, ::-1]
        beaten = to_last + np.maximum.accumulate(
            np.where(first, others - ~members, 0), axis=1
        )  # twice: ties count half
        gains *= last
    else:
        beaten = 2 * others
    wins = np.einsum("ij,ij->i", members, beaten, dtype=np.int64)  # exact
    aurocs = wins / np.maximum(2 * n_members.astype(np.int64) * n_others, 1)[:, 0]
    return np.where(both, aurocs, 0.5), np.where(both, gains.max(axis=1, initial=0.0), 0.0)
