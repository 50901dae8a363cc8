"""Points of a grid and their means over seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lightning_mia.evaluation.results import Interval

MIN_SEEDS = 3
"""Minimum number of seeds for an interval: with two, t is 12.7, and chance agreement looks like certainty."""

Point = tuple[object, ...]
AttackKey = tuple[str, str]  # name and level

PRETEXT_SCORES = ("heldout_pretext", "utility_pretext")
"""Columns whose values are not limited to [0, 1]."""


@dataclass(frozen=True)
class SeedMean:
    """Mean over the seeds of one point of a grid.

    Attributes:
        mean: over the seeds.
        ci95: 95 % interval of the mean; None with fewer than `MIN_SEEDS` seeds.
        n: number of seeds.
    """

    mean: float
    ci95: Interval | None
    n: int


def seed_mean(values: Sequence[float], within: Interval = (-math.inf, math.inf)) -> SeedMean | None:
    """Compute the mean and its interval.

    The interval, mean ± t · s / √n, accounts for what a seed sets (draw of the members, training), on one corpus.

    Args:
        values: one per seed; NaN = unknown.
        within: range of the values; the interval is clipped to it.

    >>> accuracy = seed_mean([0.5, 0.6, 0.7], within=(0, 1))
    >>> round(accuracy.mean, 3), [round(end, 3) for end in accuracy.ci95]
    (0.6, [0.352, 0.848])
    """
    from scipy.stats import t

    known = [value for value in values if not math.isnan(value)]
    if not known:
        return None
    n, mean = len(known), math.fsum(known) / len(known)
    if n < MIN_SEEDS:
        return SeedMean(mean, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half_width = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return SeedMean(mean, (max(within[0], mean - half_width), min(within[1], mean + half_width)), n)


def rows_by_point(rows: pd.DataFrame, factors: Sequence[str]) -> dict[Point, pd.DataFrame]:
    """Group rows by point, in the order of the table."""
    groups = rows.groupby(list(factors), sort=False, dropna=False)
    return {key if isinstance(key, tuple) else (key,): group for key, group in groups}


def means_by_point(rows: pd.DataFrame, factors: Sequence[str], column: str) -> dict[Point, SeedMean]:
    """Average a column over seeds at every point."""
    means = {
        point: seed_mean([float(value) for value in group[column]], value_range(column))
        for point, group in rows_by_point(rows, factors).items()
    }
    return {point: mean for point, mean in means.items() if mean is not None}


def featured_attacks(table: pd.DataFrame, factors: Sequence[str], n_per_level: int = 1) -> list[AttackKey]:
    """Return the attacks furthest from chance at any point.

    Args:
        table: of the grid.
        factors: names of the factors.
        n_per_level: attacks at each level.
    """
    attacks = table[table["role"] == "attack"]
    means = attacks.groupby(["attack", "level", *factors], sort=False, dropna=False)["auroc"].mean()
    furthest = (means - 0.5).abs().groupby(["attack", "level"], sort=False).max().sort_values(ascending=False)
    featured: list[AttackKey] = []
    for attack, level in furthest.index:
        if sum(other == level for _, other in featured) < n_per_level:
            featured.append((str(attack), str(level)))
    return featured


def result_rows(table: pd.DataFrame, name: str, level: str) -> pd.DataFrame:
    """Select the rows of one attack or control."""
    return table[(table["attack"] == name) & (table["level"] == level)]


def has_values(rows: pd.DataFrame, column: str) -> bool:
    """Whether a column exists and is not empty."""
    return column in rows and bool(rows[column].notna().any())


def value_range(column: str) -> Interval:
    """Return the range of a column's values."""
    return (-math.inf, math.inf) if column in PRETEXT_SCORES else (0.0, 1.0)
