"""Exact Mann-Whitney test, with ties.

Given n values, every choice of m of them as the first sample is equally likely under the null hypothesis; the p-value
is the share of choices with at least the observed rank sum. It needs no random draws, so that its minimum is
1 / (n choose m).
"""

import numpy as np

MAX_EXACT = 40
"""Largest number of values for exact counting; beyond, the normal approximation corrected for ties."""


def rank_sum_p(first: np.ndarray, second: np.ndarray, two_sided: bool = False) -> float:
    """Test whether the first values (m,) exceed the second (k,).

    If two-sided, test whether they exceed or fall below them.

    >>> rank_sum_p(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    0.16666666666666666
    """
    if len(first) + len(second) > MAX_EXACT:
        from scipy.stats import mannwhitneyu

        alternative = "two-sided" if two_sided else "greater"
        return float(mannwhitneyu(first, second, alternative=alternative, method="asymptotic").pvalue)
    p = _share_as_high(first, second)
    return min(1.0, 2 * min(p, _share_as_high(-first, -second))) if two_sided else p


def smallest_rank_sum_p(n_first: int, n_second: int, two_sided: bool = False) -> float:
    """Compute the p-value of a perfect separation without ties.

    >>> smallest_rank_sum_p(2, 2)
    0.16666666666666666
    """
    from scipy.special import comb

    return float(min(1.0, (1 + two_sided) / comb(n_first + n_second, n_first)))


def _share_as_high(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = np.rint(2 * rankdata(np.concatenate([first, second]))).astype(int)  # mid-ranks are multiples of ½
    counts = np.zeros((len(first) + 1, ranks.sum() + 1))  # number of choices, by size and rank sum
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, :-rank].copy()
    counts_by_sum = counts[len(first)]
    return float(counts_by_sum[ranks[: len(first)].sum() :].sum() / counts_by_sum.sum())
