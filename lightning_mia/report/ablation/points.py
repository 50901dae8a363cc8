"""The points of a grid (a value of every factor), with the rows of the results table that belong to each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lightning_mia.evaluation.results import Interval

MIN_SEEDS = 3
"""Seeds without which there is no interval: with two, t is 12.7 and a chance agreement looks like certainty."""


@dataclass(frozen=True)
class OverSeeds:
    """A figure over the seeds of one point of a grid.

    Attributes:
        mean: over the seeds.
        ci95: 95 % interval of the mean; None with fewer than `MIN_SEEDS` seeds.
        n: how many seeds.
    """

    mean: float
    ci95: Interval | None
    n: int


def over_seeds(values: Sequence[float], within: Interval = (-math.inf, math.inf)) -> OverSeeds | None:
    """Mean and Student's t interval, mean ± t · s / √n; None without a value.

    It covers what a seed sets, the draw of the members and the training, on one corpus.

    Args:
        values: one a seed; NaN: not known.
        within: what the figure can be, to which the interval is cut.

    >>> found = over_seeds([0.5, 0.6, 0.7], within=(0, 1))
    >>> round(found.mean, 3), [round(end, 3) for end in found.ci95]
    (0.6, [0.352, 0.848])
    """
    from scipy.stats import t

    known = [value for value in values if not math.isnan(value)]
    if not known:
        return None
    n, mean = len(known), math.fsum(known) / len(known)
    if n < MIN_SEEDS:
        return OverSeeds(mean, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return OverSeeds(mean, (max(within[0], mean - half), min(within[1], mean + half)), n)


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
