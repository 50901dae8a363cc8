import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lightning_mia.audit.ablation.grid_run import summary
from lightning_mia.report.ablation.points import featured_attacks, figure_at, of_result, over_seeds, points_of


def test_points_keep_the_order_of_the_grid(table: pd.DataFrame) -> None:
    assert list(points_of(table, ["size", "epochs"])) == [(25, 1), (25, 2), (25, 4), (50, 1), (50, 2), (50, 4)]
    assert list(points_of(table, ["epochs"])) == [(1,), (2,), (4,)]


def test_featured_attacks_go_furthest_from_chance(table: pd.DataFrame) -> None:
    both = [("pretext_loss", "utterance"), ("similarity", "utterance")]
    assert featured_attacks(table, ["size", "epochs"], 5) == both
    below = table.assign(auroc=table["auroc"].where(table["attack"] != "similarity", 0.01))
    assert featured_attacks(below, ["size", "epochs"]) == [("similarity", "utterance")]


def test_figures_are_means_over_seeds(table: pd.DataFrame) -> None:
    rows = of_result(table, "pretext_loss", "utterance")
    found = figure_at(rows, ["size", "epochs"], "auroc")
    own = rows[(rows["size"] == 50) & (rows["epochs"] == 2)]["auroc"]
    assert found[50, 2].mean == pytest.approx(own.mean())
    assert found[50, 2].n == 3


def test_the_summary_names_every_point(table: pd.DataFrame) -> None:
    text = summary(table, ["size", "epochs"])
    assert "pretext_loss" in text
    assert "size 50, epochs 4" in text
    assert len(text.splitlines()) == 7


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
