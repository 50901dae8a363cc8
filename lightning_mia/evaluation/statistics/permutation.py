"""Exact p-values from redrawing the split.

They are exact for any dependence between recordings. The observed labels are row 0, followed by the R redrawn ones.
Under the null hypothesis all 1 + R rows are draws of one mechanism. A statistic that treats all rows the same way and
ranks row 0 among them has an exact p-value: (1 + number of redraws at least as extreme) / (1 + R). The max-T correction
over several attacks is due to Westfall and Young (1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lightning_mia.evaluation.settings import ALPHA

TIE = 1e-9  # statistics closer than this are equal: floats are summed in different orders


@dataclass(frozen=True)
class NullDistribution:
    """Statistic of one attack under observed and redrawn labels.

    Attributes:
        values: (1 + R,) float64; row 0 is the observed one.
        two_sided: small values count as much as large ones.

    Example:
        >>> null = NullDistribution(np.array([0.9, 0.5, 0.6, 0.4]), two_sided=False)
        >>> null.observed, round(null.mean, 2)
        (0.9, 0.6)
    """

    values: np.ndarray
    two_sided: bool

    @property
    def observed(self) -> float:
        """The statistic under the observed labels."""
        return float(self.values[0])

    @property
    def mean(self) -> float:
        """Mean over all labellings: what chance gives."""
        return float(self.values.mean())

    @property
    def standard_deviation(self) -> float:
        """Standard deviation over all labellings."""
        return float(self.values.std())

    def as_two_sided(self) -> "NullDistribution":
        """Return the same statistic, two-sided."""
        return replace(self, two_sided=True)

    def standardised(self) -> np.ndarray:
        """Return distances from the mean, (1 + R,).

        They are in standard deviations, and absolute if two-sided.
        """
        spread = self.standard_deviation
        distances = (self.values - self.mean) / spread if spread > TIE else np.zeros_like(self.values)
        return np.abs(distances) if self.two_sided else distances


def p_value(null: NullDistribution) -> float:
    """Compute the p-value of one statistic.

    >>> p_value(NullDistribution(np.array([0.9, 0.5, 0.6, 0.4]), two_sided=False))
    0.25
    """
    return _share_at_least_first(null.standardised())


def p_values_of_all(null: NullDistribution) -> np.ndarray:
    """Compute the p-value of every labelling, as if it were the observed one.

    >>> p_values_of_all(NullDistribution(np.array([0.9, 0.5, 0.6, 0.6]), two_sided=False))
    array([0.25, 1.  , 0.75, 0.75])
    """
    statistics = null.standardised()
    n_below = np.searchsorted(np.sort(statistics), statistics - TIE)
    return (len(statistics) - n_below) / len(statistics)


def p_values_of_largest(family: list[NullDistribution]) -> np.ndarray:
    """Compute the p-value of a family's largest statistic, for every labelling.

    That of the observed labels is the smallest of `corrected_p_values`.

    Returns:
        (1 + R,) float64.

    >>> first, second = (NullDistribution(np.array(row), False) for row in ([0.9, 0.5, 0.6, 0.4], [0.5, 0.8, 0.6, 0.4]))
    >>> p_values_of_largest([first, second])
    array([0.25, 0.5 , 0.75, 1.  ])
    """
    largest = np.max([null.standardised() for null in family], axis=0)
    return p_values_of_all(NullDistribution(largest, two_sided=False))


def corrected_p_values(family: list[NullDistribution]) -> list[float]:
    """Correct p-values of a family on the same redraws.

    Each statistic is compared with the family's largest (max-T).
    """
    if not family:
        return []
    statistics = np.stack([null.standardised() for null in family])  # (attacks, 1 + R)
    largest = statistics.max(axis=0)  # (1 + R,)
    return [_share_at_least_first(np.append(own[0], largest[1:])) for own in statistics]


def critical_value(family: list[NullDistribution], alpha: float = ALPHA) -> float:
    """Compute the critical value of a family.

    A statistic beyond it, in standard deviations from the mean, has a corrected p-value below alpha. It is infinite if
    there are too few redraws for such a p-value.
    """
    largest = np.max([null.standardised() for null in family], axis=0)[1:]  # (R,)
    n_allowed = int(np.ceil(alpha * (1 + len(largest)))) - 2  # may exceed it: (1 + n_allowed) / (1 + R) < alpha
    return float(np.sort(largest)[::-1][n_allowed]) if n_allowed >= 0 else float("inf")


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for multiple tests by Holm's method.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979). The
    probability of any false finding is at most the level that the corrected p-values are compared with.

    >>> [round(p, 3) for p in holm([0.01, 0.5, 0.02])]
    [0.03, 0.5, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]


def _share_at_least_first(statistics: np.ndarray) -> float:
    return float(np.mean(statistics >= statistics[0] - TIE))
