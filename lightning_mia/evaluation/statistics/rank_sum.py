"""Mann and Whitney's test, counted out exactly, with ties: do these values lie above those?

Given the n values, every choice of m of them as "these" is equally likely under the null; the p-value is the share of
choices whose rank sum is as high. It takes no draws, so that it has no floor but 1 / (n choose m).
"""

import numpy as np

MAX_EXACT = 40
"""Values up to which the choices are counted; beyond, the normal approximation (with its correction for ties)."""


def rank_sum_p(these: np.ndarray, those: np.ndarray, two_sided: bool = False) -> float:
    """p-value that these (m,) lie as far above those (k,); two-sided: as far to either side.

    >>> rank_sum_p(np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    0.16666666666666666
    """
    if len(these) + len(those) > MAX_EXACT:
        from scipy.stats import mannwhitneyu

        alternative = "two-sided" if two_sided else "greater"
        return float(mannwhitneyu(these, those, alternative=alternative, method="asymptotic").pvalue)
    p = _share_as_high(these, those)
    return min(1.0, 2 * min(p, _share_as_high(-these, -those))) if two_sided else p


def smallest_rank_sum_p(n_these: int, n_those: int, two_sided: bool = False) -> float:
    """The p-value of a perfect separation without ties.

    >>> smallest_rank_sum_p(2, 2)
    0.16666666666666666
    """
    from scipy.special import comb

    return float(min(1.0, (1 + two_sided) / comb(n_these + n_those, n_these)))


def _share_as_high(these: np.ndarray, those: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = np.rint(2 * rankdata(np.concatenate([these, those]))).astype(int)  # whole, for mid-ranks are halves
    counts = np.zeros((len(these) + 1, ranks.sum() + 1))  # choices of so many values with such a rank sum
    counts[0, 0] = 1
    for rank in ranks:
        counts[1:, rank:] += counts[:-1, :-rank].copy()
    of_size = counts[len(these)]
    return float(of_size[ranks[: len(these)].sum() :].sum() / of_size.sum())
