from itertools import combinations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, rankdata

from lightning_mia.evaluation.statistics.rank_sum import rank_sum_p, smallest_rank_sum_p


def share_of_choices(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the share of choices with at least this sum."""
    ranks = rankdata(np.concatenate([first, second]))
    sums = [sum(choice) for choice in combinations(ranks, len(first))]
    return float(np.mean(np.array(sums) >= ranks[: len(first)].sum() - 1e-9))


@pytest.mark.parametrize("seed", range(8))
def test_the_p_value_is_the_share_of_choices_even_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, 5) + 1.0, rng.integers(0, 6, 6).astype(float)
    assert rank_sum_p(first, second) == pytest.approx(share_of_choices(first, second), abs=1e-12)


def test_without_ties_the_p_value_equals_scipys_exact_p_value() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.5, 1, 12), rng.normal(size=9)
    for two_sided, alternative in ((False, "greater"), (True, "two-sided")):
        expected = mannwhitneyu(first, second, alternative=alternative, method="exact").pvalue
        assert rank_sum_p(first, second, two_sided) == pytest.approx(expected, rel=1e-9)


def test_many_values_use_the_normal_approximation() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.2, 1, 80), rng.normal(size=90)
    expected = mannwhitneyu(first, second, alternative="greater", method="asymptotic").pvalue
    assert rank_sum_p(first, second) == pytest.approx(expected)


def test_a_perfect_separation_has_the_smallest_p() -> None:
    assert rank_sum_p(np.arange(5.0) + 9, np.arange(6.0)) == pytest.approx(smallest_rank_sum_p(5, 6))
