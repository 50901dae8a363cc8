"""Match groups of recordings by duration.

Callers pass logarithms of durations, so that a tolerance is a fraction of the duration. Ties are broken by the order of
the values, which callers shuffle.
"""

import heapq
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd


def match_pairs(first: np.ndarray, second: np.ndarray, max_difference: float = np.inf) -> np.ndarray:
    """Pair the values of two groups greedily, closest pair first.

    On a line the closest remaining pair are always neighbours, so that a heap of neighbours takes O(n log n). A
    matching with the largest number of pairs would not do: if one group has longer recordings, they are still longer
    within the pairs. (Two groups of 500 log durations, standard deviation .3, means one standard deviation apart,
    tolerance 5 %: 326 pairs instead of 304, but duration then still separates the groups, with AUROC .531 instead of
    .501.)

    Args:
        first: (n,) float.
        second: (m,) float.
        max_difference: largest difference within a pair.

    Returns:
        (pairs, 2) int, positions in `first` and in `second`, closest pair first.

    >>> match_pairs(np.array([1.0, 5.0, 9.0]), np.array([5.2, 1.3, 4.9]), max_difference=0.5)
    array([[1, 2],
           [0, 1]])
    """
    values = np.concatenate([first, second])
    order = np.argsort(values, kind="stable")
    line, is_first = values[order].tolist(), (order < len(first)).tolist()
    before, after = list(range(-1, len(line) - 1)), list(range(1, len(line) + 1))
    heap: list[tuple[float, int, int]] = []

    def push(left: int, right: int) -> None:
        difference = line[right] - line[left]
        if is_first[left] != is_first[right] and difference <= max_difference:
            heapq.heappush(heap, (difference, left, right))

    for left in range(len(line) - 1):
        push(left, left + 1)
    taken, pairs = [False] * len(line), []
    while heap:
        _, left, right = heapq.heappop(heap)
        if taken[left] or taken[right]:
            continue
        taken[left] = taken[right] = True
        pairs.append((left, right) if is_first[left] else (right, left))
        outer_left, outer_right = before[left], after[right]
        if outer_left >= 0:
            after[outer_left] = outer_right
        if outer_right < len(line):
            before[outer_right] = outer_left
            if outer_left >= 0:
                push(outer_left, outer_right)
    return order[np.array(pairs, dtype=int).reshape(-1, 2)] - [0, len(first)]


def match_tuples(groups: Sequence[np.ndarray], max_difference: float) -> np.ndarray:
    """Match values of every group to the last group's.

    Args:
        groups: two or more arrays (n_group,) float.
        max_difference: as in `match_pairs`.

    Returns:
        (tuples, groups) int, a position in every group; in the order of the last group.
    """
    *others, reference = groups
    chosen = np.arange(len(reference))[:, None]  # (tuples, 1 + groups matched so far)
    for values in others:
        pairs = match_pairs(values, reference[chosen[:, 0]], max_difference)
        chosen = np.column_stack([chosen[pairs[:, 1]], pairs[:, 0]])
    chosen = chosen[np.argsort(chosen[:, 0])]
    return np.roll(chosen, -1, axis=1)


def match_bins(groups: Sequence[np.ndarray], width: float) -> np.ndarray:
    """Take equally many values of every group from every bin.

    Args:
        groups: two or more arrays (n_group,) float.
        width: width of a bin.

    Returns:
        (tuples, groups) int, a position in every group, all in one bin.

    >>> match_bins([np.array([0.1, 0.2, 1.5]), np.array([1.1, 0.3, 1.2])], width=1.0)
    array([[0, 1],
           [2, 0]])
    """
    tables = []
    for group, values in enumerate(groups):
        table = pd.DataFrame({"bin": bin_numbers(values, width), group: np.arange(len(values))})
        tables.append(table.assign(rank=table.groupby("bin").cumcount()))
    joined = reduce(lambda left, right: left.merge(right, on=["bin", "rank"]), tables)
    return joined[list(range(len(groups)))].to_numpy(dtype=int)


def match_bins_proportionally(
    members: np.ndarray, nonmembers: np.ndarray, width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Keep one ratio of members to non-members in every bin.

    The ratio is the most informative one: the variance of an AUROC is proportional to 1/members + 1/non-members. If
    the distributions agree already, everything is kept, however unequal the numbers.

    Args:
        members: (n,) float.
        nonmembers: (m,) float.
        width: width of a bin.

    Returns:
        Positions in `members` and in `nonmembers`; none if no bin has both.
    """
    bins = np.concatenate([bin_numbers(members, width), bin_numbers(nonmembers, width)])
    _, index = np.unique(bins, return_inverse=True)
    member_bins, nonmember_bins = index[: len(members)], index[len(members) :]
    n_members, n_nonmembers = (
        np.bincount(group, minlength=index.max(initial=0) + 1) for group in (member_bins, nonmember_bins)
    )
    both = (n_members > 0) & (n_nonmembers > 0)
    if not both.any():
        return np.empty(0, int), np.empty(0, int)
    ratio = _best_ratio(n_members[both], n_nonmembers[both])
    n_kept_members = _round_cumulatively(np.minimum(n_members, ratio * n_nonmembers))
    n_kept_nonmembers = _round_cumulatively(np.minimum(n_nonmembers, n_members / ratio))
    return _first_in_bins(member_bins, n_kept_members), _first_in_bins(nonmember_bins, n_kept_nonmembers)


def bin_numbers(values: np.ndarray, width: float) -> np.ndarray:
    """Return the bin of every value, (n,) int."""
    return np.floor(values / width).astype(int)


def _best_ratio(n_members: np.ndarray, n_nonmembers: np.ndarray) -> float:
    """Return the most informative ratio, from counts per bin.

    M(ratio) = Σ min(members, ratio · non-members) members and M/ratio non-members are kept, so that
    1/(1/members + 1/non-members) = M/(1 + ratio). M is linear between the ratios of the bins, so that the maximum is at
    one of these.
    """
    ratios = np.unique(n_members / n_nonmembers)
    kept = [float(np.minimum(n_members, ratio * n_nonmembers).sum()) for ratio in ratios]
    return float(ratios[np.argmax(np.array(kept) / (1 + ratios))])


def _round_cumulatively(counts: np.ndarray) -> np.ndarray:
    """Round counts cumulatively, (bins,).

    Every running total is exact to one half. Rounding each bin separately would round all sparse bins of a tail in the
    same direction.

    >>> _round_cumulatively(np.array([0.4, 0.4, 0.4, 0.8])).tolist()
    [0, 1, 0, 1]
    """
    return np.diff(np.floor(np.cumsum(counts) + 0.5 + 1e-9), prepend=0).astype(int)


def _first_in_bins(bins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the positions of the first `counts[bin]` values per bin."""
    rank = pd.Series(bins).groupby(bins).cumcount().to_numpy()
    return np.flatnonzero(rank < counts[bins])
