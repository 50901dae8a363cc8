"""Means over seeds, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OverSeeds:
    """A figure over the seeds of one point of a grid.

    Attributes:
        mean: over the seeds.
        lower: end of the 95 % interval of the mean; None with one seed.
        upper: the other end.
        n: how many seeds.
    """

    mean: float
    lower: float | None
    upper: float | None
    n: int


def over_seeds(values: Sequence[float], within: tuple[float, float] = (-math.inf, math.inf)) -> OverSeeds | None:
    """Mean and Student's t interval, mean ± t · s / √n; None without a value.

    It covers what a seed sets, the draw of the members and the training, on one corpus.

    Args:
        values: one a seed.
        within: what the figure can be, to which the interval is cut.

    >>> over_seeds([0.5, 0.6, 0.7])  # doctest: +ELLIPSIS
    OverSeeds(mean=0.6, lower=0.351..., upper=0.848..., n=3)
    """
    from scipy.stats import t

    known = [value for value in values if not math.isnan(value)]
    if not known:
        return None
    n, mean = len(known), math.fsum(known) / len(known)
    if n == 1:
        return OverSeeds(mean, None, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return OverSeeds(mean, max(within[0], mean - half), min(within[1], mean + half), n)
