import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lightning_mia.audit.ablation.grid_run import summary
from lightning_mia.report.ablation.points import featured_attacks, means_by_point, result_rows, rows_by_point, seed_mean


def test_points_keep_the_order_of_the_grid(table: pd.DataFrame) -> None:
    assert list(rows_by_point(table, ["size", "epochs"])) == [(25, 1), (25, 2), (25, 4), (50, 1), (50, 2), (50, 4)]
    assert list(rows_by_point(table, ["epochs"])) == [(1,), (2,), (4,)]


def test_featured_attacks_are_furthest_from_chance(table: pd.DataFrame) -> None:
    both = [("pretext_loss", "utterance"), ("similarity", "utterance")]
    assert featured_attacks(table, ["size", "epochs"], 5) == both
    below = table.assign(auroc=table["auroc"].where(table["attack"] != "similarity", 0.01))
    assert featured_attacks(below, ["size", "epochs"]) == [("similarity", "utterance")]


def test_points_have_means_over_seeds(table: pd.DataFrame) -> None:
    rows = result_rows(table, "pretext_loss", "utterance")
    means = means_by_point(rows, ["size", "epochs"], "auroc")
    own = rows[(rows["size"] == 50) & (rows["epochs"] == 2)]["auroc"]
    assert means[50, 2].mean == pytest.approx(own.mean())
    assert means[50, 2].n == 3


def test_the_summary_names_every_point(table: pd.DataFrame) -> None:
    text = summary(table, ["size", "epochs"])
    assert "pretext_loss" in text
    assert "size 50, epochs 4" in text
    assert len(text.splitlines()) == 7


def test_the_interval_is_that_of_a_t_test() -> None:
    values = [0.61, 0.58, 0.7, 0.66]
    accuracy, expected = seed_mean(values), ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert accuracy is not None
    assert accuracy.ci95 is not None
    assert accuracy.mean == pytest.approx(np.mean(values))
    assert accuracy.ci95 == pytest.approx((expected.low, expected.high))


def test_few_seeds_have_no_interval() -> None:
    accuracy = seed_mean([0.6, float("nan"), 0.8])
    assert accuracy is not None
    assert (accuracy.mean, accuracy.ci95, accuracy.n) == (pytest.approx(0.7), None, 2)
    assert seed_mean([float("nan")]) is None


def test_intervals_are_cut_to_the_range() -> None:
    accuracy = seed_mean([0.99, 0.8, 1.0], within=(0.0, 1.0))
    assert accuracy is not None
    assert accuracy.ci95 is not None
    assert accuracy.ci95[1] == 1.0


def test_intervals_cover_95_per_cent_of_normal_means() -> None:
    rng = np.random.default_rng(0)
    intervals = [seed_mean(rng.normal(0.6, 0.03, 3).tolist()) for _ in range(2000)]
    covered = [mean.ci95[0] <= 0.6 <= mean.ci95[1] for mean in intervals if mean and mean.ci95]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
