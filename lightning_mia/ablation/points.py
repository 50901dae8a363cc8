"""The points of a grid (a value of every factor), with the rows of the results table that belong to each."""

import math
from collections.abc import Sequence

import pandas as pd

from lightning_mia.ablation.over_seeds import OverSeeds, over_seeds
from lightning_mia.evaluation.results import Interval

Point = tuple[object, ...]
Attack = tuple[str, str]  # name and level

PRETEXT_SCORES = ("heldout_pretext", "utility_pretext")
"""Columns that are no rates."""


def points_of(rows: pd.DataFrame, factors: Sequence[str]) -> dict[Point, pd.DataFrame]:
    """Point → its rows, in the order of the table."""
    groups = rows.groupby(list(factors), sort=False, dropna=False)
    return {key if isinstance(key, tuple) else (key,): group for key, group in groups}


def featured_attacks(table: pd.DataFrame, factors: Sequence[str], most: int = 1) -> list[Attack]:
    """The attacks whose mean AUROC goes furthest from chance somewhere in the grid, that one first.

    Args:
        table: of the grid.
        factors: what is varied.
        most: how many, at each level.
    """
    attacks = table[table["role"] == "attack"]
    means = attacks.groupby(["attack", "level", *factors], sort=False, dropna=False)["auroc"].mean()
    furthest = (means - 0.5).abs().groupby(["attack", "level"], sort=False).max().sort_values(ascending=False)
    chosen: list[Attack] = []
    for attack, level in furthest.index:
        if sum(one[1] == level for one in chosen) < most:
            chosen.append((str(attack), str(level)))
    return chosen


def of_result(table: pd.DataFrame, name: str, level: str) -> pd.DataFrame:
    """Rows of one attack or control."""
    return table[(table["attack"] == name) & (table["level"] == level)]


def is_known(rows: pd.DataFrame, column: str) -> bool:
    """Whether there is anything in a column, which the table of an earlier version may not have."""
    return column in rows and bool(rows[column].notna().any())


def range_of(column: str) -> Interval:
    """What a column can be: rates and AUROCs from 0 to 1, pretext scores anything."""
    return (-math.inf, math.inf) if column in PRETEXT_SCORES else (0.0, 1.0)


def figure_at(rows: pd.DataFrame, factors: Sequence[str], column: str) -> dict[Point, OverSeeds]:
    """Point → mean over seeds of a column, as far as it is known; rates are cut to 0 … 1."""
    found = {
        point: over_seeds([float(value) for value in of_point[column]], range_of(column))
        for point, of_point in points_of(rows, factors).items()
    }
    return {point: value for point, value in found.items() if value is not None}
