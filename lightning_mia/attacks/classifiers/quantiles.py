"""Conditional quartiles: linear quantile regression on principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

QUARTILES = (0.25, 0.5, 0.75)
CANDIDATES = (0, 1, 2, 4, 8, 16, 32)  # numbers of components; 0: constant quantiles
MIN_EXAMPLES_PER_COEFFICIENT = 8  # limits the number of components
FOLDS = 5
MIN_SPREAD = 0.25  # share of the examples' interquartile range; fitted quartiles may cross far from the data


@dataclass(frozen=True)
class ConditionalQuantiles:
    """Quartiles as linear functions of the first components.

    Attributes:
        coefficients: (3, 1 + components), the constant first.
        min_spread: lower bound of the predicted interquartile range.
    """

    coefficients: np.ndarray
    min_spread: float

    @classmethod
    def fit(cls, components: np.ndarray, values: np.ndarray) -> ConditionalQuantiles:
        """Fit the quartiles.

        The number of components minimises the cross-validated loss of the median.

        Args:
            components: (n, c), ordered by variance and scaled to variance 1.
            values: (n,).
        """
        limit = min(components.shape[1], len(values) // MIN_EXAMPLES_PER_COEFFICIENT)
        candidates = [c for c in CANDIDATES if c <= limit]
        best = min(candidates, key=lambda c: _cross_validated_loss(components[:, :c], values))
        coefficients = np.stack([fit_quantile(components[:, :best], values, level) for level in QUARTILES])
        low, high = np.percentile(values, [25, 75])
        return cls(coefficients, MIN_SPREAD * float(high - low) or 1.0)

    def exceedance(self, components: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Compute (value − median) / interquartile range, (n,)."""
        low, median, high = self.coefficients @ with_constant(components[:, : self.coefficients.shape[1] - 1]).T
        return (values - median) / np.maximum(high - low, self.min_spread)


def principal_components(fitted: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project vectors on principal components of the fitted ones.

    Components are centred and scaled to variance 1 over the fitted vectors.

    Args:
        fitted: (n, dim).
        others: (m, dim).

    Returns:
        (n, c) and (m, c), ordered by variance, with c at most the largest candidate.
    """
    centre = fitted.mean(axis=0)
    _, spread, directions = np.linalg.svd(fitted - centre, full_matrices=False)
    kept = spread[: max(CANDIDATES)] > 1e-9 * max(spread[0], 1e-300)
    scaled = directions[: len(kept)][kept] / spread[: len(kept)][kept, None] * np.sqrt(len(fitted))
    return (fitted - centre) @ scaled.T, (others - centre) @ scaled.T


def fit_quantile(components: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Fit a linear quantile regression (Koenker and Bassett 1978).

    Returns:
        (1 + c,), the constant first.
    """
    from sklearn.linear_model import QuantileRegressor

    if components.shape[1] == 0:
        return np.array([np.quantile(values, level)])
    fitted = QuantileRegressor(quantile=level, alpha=0.0).fit(components, values)
    return np.append(fitted.intercept_, fitted.coef_)


def pinball_loss(errors: np.ndarray, level: float) -> float:
    """Compute the mean pinball loss.

    Mean of max(level × e, (level − 1) × e) over errors e = value − prediction.

    >>> pinball_loss(np.array([2.0, -2.0]), 0.75)
    1.0
    """
    return float(np.maximum(level * errors, (level - 1) * errors).mean())


def with_constant(components: np.ndarray) -> np.ndarray:
    """Prepend a column of ones, (n, c) → (n, 1 + c)."""
    return np.column_stack([np.ones(len(components)), components])


def _cross_validated_loss(components: np.ndarray, values: np.ndarray) -> float:
    """Compute the pinball loss of the median, cross-validated over five folds."""
    fold_of = np.arange(len(values)) % FOLDS
    errors = np.empty(len(values))
    for fold in range(FOLDS):
        held_out = fold_of == fold
        coefficients = fit_quantile(components[~held_out], values[~held_out], 0.5)
        errors[held_out] = values[held_out] - with_constant(components[held_out]) @ coefficients
    return pinball_loss(errors, 0.5)
