"""Means over seeds, with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lightning_mia.evaluation.results import Interval

LEAST = 3
"""Seeds without which there is no interval: with two, t is 12.7 and a chance agreement looks like certainty."""


@dataclass(frozen=True)
class OverSeeds:
    """A figure over the seeds of one point of a grid.

    Attributes:
        mean: over the seeds.
        ci95: 95 % interval of the mean; None with fewer than `LEAST` seeds.
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
    if n < LEAST:
        return OverSeeds(mean, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return OverSeeds(mean, (max(within[0], mean - half), min(within[1], mean + half)), n)
