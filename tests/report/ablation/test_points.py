import pandas as pd
import pytest

from lightning_mia.audit.ablation.run import summary
from lightning_mia.report.ablation.points import featured_attacks, figure_at, of_result, points_of


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
