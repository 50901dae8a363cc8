"""Difference of two AUROCs on the same units."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.statistics.intervals import standard_error


@dataclass(frozen=True)
class AurocDifference:
    """First minus second AUROC."""

    value: float
    standard_error: float
    degrees_of_freedom: float

    def lower(self, quantile: float) -> float:
        """Return the one-sided lower bound at a quantile of Student's t."""
        return self.value - quantile * self.standard_error


def auroc_difference(
    first: float,
    second: float,
    first_replicates: np.ndarray,
    second_replicates: np.ndarray,
    degrees_of_freedom: float,
) -> AurocDifference:
    """Compare two AUROCs by their paired replicates."""
    return AurocDifference(first - second, standard_error(first_replicates - second_replicates), degrees_of_freedom)
