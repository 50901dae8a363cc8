import numpy as np
import pytest
from scipy.stats import ttest_1samp

from lightning_mia.report.ablation.points import over_seeds


def test_the_interval_is_that_of_the_t_test() -> None:
    values = [0.61, 0.58, 0.7, 0.66]
    found, expected = over_seeds(values), ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert found is not None
    assert found.ci95 is not None
    assert found.mean == pytest.approx(np.mean(values))
    assert found.ci95 == pytest.approx((expected.low, expected.high))


def test_few_seeds_have_a_mean_alone() -> None:
    found = over_seeds([0.6, float("nan"), 0.8])
    assert found is not None
    assert (found.mean, found.ci95, found.n) == (pytest.approx(0.7), None, 2)
    assert over_seeds([float("nan")]) is None


def test_an_interval_ends_where_the_figure_does() -> None:
    found = over_seeds([0.99, 0.8, 1.0], within=(0.0, 1.0))
    assert found is not None
    assert found.ci95 is not None
    assert found.ci95[1] == 1.0


def test_intervals_hold_the_mean_of_normal_figures_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    intervals = [over_seeds(rng.normal(0.6, 0.03, 3).tolist()) for _ in range(2000)]
    held = [one.ci95[0] <= 0.6 <= one.ci95[1] for one in intervals if one and one.ci95]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)
