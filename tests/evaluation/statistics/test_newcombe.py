import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from lightning_mia.evaluation.statistics.intervals import NORMAL_QUANTILE, hanley_mcneil, newcombe


@pytest.mark.parametrize("auroc", [0.0, 0.2, 0.5, 0.83, 1.0])
@pytest.mark.parametrize(("n_members", "n_nonmembers"), [(6, 6), (20, 35), (200, 200), (7.5, 3.2)])
def test_bounds_are_the_ends_of_a_search_over_candidates(auroc: float, n_members: float, n_nonmembers: float) -> None:
    candidates = np.linspace(0, 1, 20_001)[1:-1]
    inside = [
        candidate
        for candidate in candidates
        if abs(candidate - auroc) <= NORMAL_QUANTILE * hanley_mcneil(candidate, n_members, n_nonmembers)
    ]
    assert newcombe(auroc, n_members, n_nonmembers) == pytest.approx((min(inside), max(inside)), abs=2e-4)


def test_turning_the_scores_round_turns_the_interval_round() -> None:
    lower, upper = newcombe(0.8, 12, 30)
    assert newcombe(0.2, 30, 12) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


def test_standard_error_at_chance_is_mann_and_whitneys() -> None:
    sizes = np.array([6, 9])
    exact = np.sqrt((sizes.sum() + 1) / (12 * sizes.prod()))
    assert hanley_mcneil(0.5, *sizes) == pytest.approx(exact)
    values = np.random.default_rng(0).normal(size=(2000, 15))
    statistics = mannwhitneyu(values[:, :6], values[:, 6:], axis=1).statistic / sizes.prod()
    assert statistics.std() == pytest.approx(exact, rel=0.05)
