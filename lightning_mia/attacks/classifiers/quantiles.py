"""Median and quartiles of a number, given a vector: linear quantile regression on a few principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUARTILES = (0.25, 0.5, 0.75)
CANDIDATES = (0, 1, 2, 4, 8, 16, 32)  # components; 0: the quantiles are the same for all vectors
EXAMPLES_A_COEFFICIENT = 8  # with fewer, a candidate is not tried
FOLDS = 5
MIN_SPREAD = 0.25  # of the spread over all vectors: a line through the quartiles may cross another one far out


@dataclass(frozen=True)
class ConditionalQuantiles:
    """Three linear functions of the first components.

    Attributes:
        coefficients: (3, 1 + components), the constant first.
        least: the smallest distance between the quartiles that is believed.
    """

    coefficients: np.ndarray
    least: float

    @classmethod
    def of(cls, components: np.ndarray, values: np.ndarray) -> ConditionalQuantiles:
        """Fit; as many components are used as predict the median of left-out examples best.

        Args:
            components: (n, c), by falling variance, each of variance 1.
            values: (n,).
        """
        most = min(components.shape[1], len(values) // EXAMPLES_A_COEFFICIENT)
        used = min((c for c in CANDIDATES if c <= most), key=lambda c: _left_out_loss(components[:, :c], values))
        fitted = np.stack([fit_quantile(components[:, :used], values, level) for level in QUARTILES])
        low, high = np.percentile(values, [25, 75])
        return cls(fitted, MIN_SPREAD * float(high - low) or 1.0)

    def exceedance(self, components: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(value − median) / distance between the quartiles, (n,)."""
        low, median, high = self.coefficients @ with_constant(components[:, : self.coefficients.shape[1] - 1]).T
        return (values - median) / np.maximum(high - low, self.least)


def principal_components(known: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Components of vectors by falling variance, centred and scaled to variance 1 by those of the known ones.

    Args:
        known: (n, dim).
        others: (m, dim).

    Returns:
        (n, c) and (m, c), at most as many components as the largest candidate.
    """
    centre = known.mean(axis=0)
    _, spread, directions = np.linalg.svd(known - centre, full_matrices=False)
    kept = spread[: max(CANDIDATES)] > 1e-9 * max(spread[0], 1e-300)
    scaled = directions[: len(kept)][kept] / spread[: len(kept)][kept, None] * np.sqrt(len(known))
    return (known - centre) @ scaled.T, (others - centre) @ scaled.T


def fit_quantile(components: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """The linear function with the least pinball loss (Koenker and Bassett 1978): (1 + c,), the constant first."""
    from sklearn.linear_model import QuantileRegressor

    if components.shape[1] == 0:
        return np.array([np.quantile(values, level)])
    fitted = QuantileRegressor(quantile=level, alpha=0.0).fit(components, values)
    return np.append(fitted.intercept_, fitted.coef_)


def pinball_loss(errors: np.ndarray, level: float) -> float:
    """Mean of level × error where the value is above the prediction, and of (1 − level) × its size where it is below.

    >>> pinball_loss(np.array([2.0, -2.0]), 0.75)
    1.0
    """
    return float(np.maximum(level * errors, (level - 1) * errors).mean())


def with_constant(components: np.ndarray) -> np.ndarray:
    """(n, c) → (n, 1 + c)."""
    return np.column_stack([np.ones(len(components)), components])


def _left_out_loss(components: np.ndarray, values: np.ndarray) -> float:
    """Pinball loss of the median over five parts, each predicted from the others."""
    part = np.arange(len(values)) % FOLDS
    errors = np.empty(len(values))
    for fold in range(FOLDS):
        fitted = fit_quantile(components[part != fold], values[part != fold], 0.5)
        errors[part == fold] = values[part == fold] - with_constant(components[part == fold]) @ fitted
    return pinball_loss(errors, 0.5)
