"""AUROC: once by torchmetrics, for the figure that is reported; by mid-ranks, for thousands at one go.

Both are exact for ties and agree to 1e-12. The AUROC is the probability that a member scores higher than a
non-member, ties counted half.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

CHUNK = 2_000_000  # matrix elements held in float64 at one go: 16 MB


def labelled_sums(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sum over the members of every labelling; labels are turned into numbers once for all rows of `values`.

    Args:
        values: (..., n) float64.
        labels: (R, n) bool, one labelling a row.

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


def auroc(values: np.ndarray, members: np.ndarray) -> float:
    """AUROC of `values` (n,) float64 for `members` (n,) bool, by torchmetrics on CPU.

    `normalization=None`: the default passes scores outside [0, 1] through a sigmoid, which ties the high
    ones.

    Raises:
        ValueError: a value is not finite, or one side is empty; torchmetrics accepts both.

    >>> auroc(np.array([101.0, 102.0, 103.0, 104.0]), np.array([False, True, False, True]))
    0.75
    """
    import torch
    from torchmetrics.classification import BinaryAUROC

    check(values, members)
    # Scores are whole when they come here: the other processes of a distributed run are not asked, and gone.
    metric = BinaryAUROC(thresholds=None, normalization=None, sync_on_compute=False)
    with float64_by_default():
        metric.update(torch.tensor(values, dtype=torch.float64), torch.tensor(members, dtype=torch.int64))
        return float(metric.compute())


def auroc_of_labels(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """AUROC of the same scores for many labellings: the mid-rank form of the Mann-Whitney statistic.

    Args:
        values: (n,) scores, or (k, n) scores of several attacks, which takes hardly longer than one.
        labels: (R, n) bool, one labelling a row.

    Returns:
        (R,) or (k, R) float64; 0.5 for a row with one side empty. The rank sums are sums of half-integers and therefore
        exact, so that equal rankings give equal numbers.

    >>> auroc_of_labels(np.array([1.0, 2.0, 2.0]), np.array([[False, True, True], [False, False, True]]))
    array([1.  , 0.75])
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=-1)  # (..., n) from 1, ties share their mean
    n_members = labels.sum(axis=1).astype(np.float64)
    return _from_rank_sums(labelled_sums(ranks, labels), n_members, labels.shape[1] - n_members)


def _from_rank_sums(rank_sums: np.ndarray, n_members: np.ndarray, n_nonmembers: np.ndarray) -> np.ndarray:
    wins = rank_sums - n_members * (n_members + 1) / 2  # Mann-Whitney U, (..., R)
    pairs = n_members * n_nonmembers
    return np.divide(wins, pairs, out=np.full(wins.shape, 0.5), where=pairs > 0)


def check(values: np.ndarray, members: np.ndarray) -> None:
    """Refuse what has no AUROC.

    Raises:
        ValueError: a value is not finite, or one side is empty.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"Expected finite scores, but {np.sum(~np.isfinite(values))} of {len(values)} are not")
    if members.all() or not members.any():
        raise ValueError(f"Expected members and non-members, but got {members.sum()} members of {len(members)}")


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Let torchmetrics divide its integer counts in float64: it would take torch's default dtype, float32."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
