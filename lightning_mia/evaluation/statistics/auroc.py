"""AUROC of one labelling, and of many.

Reported values come from torchmetrics, those of thousands of redrawn labellings from mid-ranks. Both are exact for ties
and agree to 1e-12. The AUROC is the probability that a member scores higher than a non-member, ties counted half.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

CHUNK = 2_000_000  # matrix elements held in float64 at once: 16 MB


def auroc(values: np.ndarray, members: np.ndarray) -> float:
    """Compute the AUROC by torchmetrics on CPU.

    Args:
        values: (n,) float64 scores.
        members: (n,) bool.

    Raises:
        ValueError: a value is not finite, or there are no members or no non-members; torchmetrics accepts both.

    >>> auroc(np.array([101.0, 102.0, 103.0, 104.0]), np.array([False, True, False, True]))
    0.75
    """
    import torch
    from torchmetrics.classification import BinaryAUROC

    check_scores(values, members)
    # `normalization`: the default passes scores outside [0, 1] through a sigmoid, which ties the high ones.
    # `sync_on_compute`: the other processes of a distributed run have ended; this one has all scores.
    metric = BinaryAUROC(thresholds=None, normalization=None, sync_on_compute=False)
    with float64_by_default():
        metric.update(torch.tensor(values, dtype=torch.float64), torch.tensor(members, dtype=torch.int64))
        return float(metric.compute())


def labelled_aurocs(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute the AUROC of the same scores for many labellings.

    This is the mid-rank form of the Mann-Whitney statistic. The rank sums are sums of half-integers and therefore
    exact: equal rankings give equal numbers.

    Args:
        values: (n,) scores, or (k, n) scores of several attacks, which takes hardly longer than one.
        labels: (R, n) bool, one labelling per row.

    Returns:
        (R,) or (k, R) float64; 0.5 for a row without members or without non-members.

    >>> labelled_aurocs(np.array([1.0, 2.0, 2.0]), np.array([[False, True, True], [False, False, True]]))
    array([1.  , 0.75])
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)  # (..., n) from 1, ties share their mean
    n_members = labels.sum(axis=1).astype(np.float64)
    return _from_rank_sums(labelled_sums(ranks, labels), n_members, labels.shape[1] - n_members)


def labelled_sums(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum the values of the members of every labelling.

    Args:
        values: (..., n) float64.
        labels: (R, n) bool, one labelling per row.

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


def n_below(values: np.ndarray, opponents: np.ndarray) -> np.ndarray:
    """Count the opponents below each value, ties half.

    Values (n,), opponents (k,) → (n,) float64.

    >>> n_below(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    array([1.5, 2. ])
    """
    opponents = np.sort(opponents, kind="stable")  # quick if they are sorted already, in either direction
    below, not_above = (np.searchsorted(opponents, values, side=side) for side in ("left", "right"))
    return (below + not_above) / 2


def check_scores(values: np.ndarray, members: np.ndarray) -> None:
    """Check that scores and labels have an AUROC.

    Raises:
        ValueError: a value is not finite, or there are no members or no non-members.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"Expected finite scores, but {np.sum(~np.isfinite(values))} of {len(values)} are not")
    if members.all() or not members.any():
        raise ValueError(f"Expected members and non-members, but got {members.sum()} members of {len(members)}")


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Make torchmetrics divide its integer counts in float64.

    It uses torch's default dtype, float32.
    """
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _from_rank_sums(rank_sums: np.ndarray, n_members: np.ndarray, n_nonmembers: np.ndarray) -> np.ndarray:
    wins = rank_sums - n_members * (n_members + 1) / 2  # Mann-Whitney U, (..., R)
    pairs = n_members * n_nonmembers
    return np.divide(wins, pairs, out=np.full(wins.shape, 0.5), where=pairs > 0)
