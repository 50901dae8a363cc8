"""Variances of single units, shrunk by their reliability."""

from collections.abc import Sequence

import numpy as np

from lightning_mia.attacks.shadow_models.in_out import MIN_VARIANCE, moments, pooled_covariance, positive_part


def own_variances(shadows: np.ndarray, groups: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Estimate every unit's variance over each group of shadow models.

    The log variance of a unit is moved towards the mean of all units. Its weight is its reliability, the correlation
    of the log variances in two halves of the shadow models, stepped up from a half to all of them (Spearman 1910,
    Brown 1910). A heavy-tailed signal has sample variances that differ even if the true ones do not; halves agree in
    true differences only. All are then scaled so that their mean is the pooled variance.

    With two groups, IN and OUT, the mean of their log variances and half the difference have reliabilities of their
    own: a unit mostly has one variance for both, and estimates apart would suggest a difference that is noise.

    Args:
        shadows: (K, n) signals under the shadow models.
        groups: one or two, (K, n) bool: the shadow model counts for the unit.

    Returns:
        (n,) float64 for each group. Units with fewer than two shadow models in a group have the pooled variance.

    Raises:
        CannotRun: no unit has two shadow models in a group.
    """
    contrasts = np.array([[1.0]]) if len(groups) == 1 else np.array([[0.5, 0.5], [0.5, -0.5]])
    logs, known = _log_variances(shadows, groups)
    halves = [_log_variances(shadows, half) for half in _halves(groups)]
    values = contrasts @ logs
    centres = values[:, known].sum(axis=1, keepdims=True) / max(known.sum(), 1)
    deviations = np.where(known, values - centres, 0.0)
    both = halves[0][1] & halves[1][1]
    weights = [_reliability(*(contrast @ half[:, both] for half, _ in halves)) for contrast in contrasts]
    factors = np.exp(np.linalg.inv(contrasts) @ (np.array(weights)[:, None] * deviations))
    pooled = [pooled_covariance(moments(shadows[..., None], group))[0, 0] for group in groups]
    return [variance * factor / factor.mean() for variance, factor in zip(pooled, factors, strict=True)]


def _halves(groups: Sequence[np.ndarray]) -> list[list[np.ndarray]]:
    """Divide each group of every unit: every second model, and the others."""
    even = [np.cumsum(group, axis=0) % 2 == 0 for group in groups]
    pairs = list(zip(groups, even, strict=True))
    return [[group & half for group, half in pairs], [group & ~half for group, half in pairs]]


def _reliability(values: np.ndarray, others: np.ndarray) -> float:
    """Compute the reliability of a mean of two measurements, 0 to 1.

    Args:
        values: (m,).
        others: (m,), the same by the other half.

    Returns:
        0 with fewer than three units, and if they agree no more than by chance.
    """
    if len(values) < 3 or not (values.std() and others.std()):
        return 0.0
    correlation = max(0.0, float(np.corrcoef(values, others)[0, 1]))
    correlation *= positive_part(correlation, (1 - correlation**2) ** 2 / len(values))
    return 2 * correlation / (1 + correlation)


def _log_variances(shadows: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Compute log sample variances without bias, for normal signals.

    Returns:
        (groups, n) logarithms and (n,) bool: the unit has two or more shadow models in every group.
    """
    from scipy.special import digamma

    logs, known = [], np.ones(shadows.shape[1], dtype=bool)
    for chosen in groups:
        group = moments(shadows[..., None], chosen)
        half = np.maximum(group.count - 1, 1) / 2
        variances = np.maximum(group.squares[:, 0] / (2 * half), MIN_VARIANCE)
        logs.append(np.log(variances) - digamma(half) + np.log(half))
        known &= group.count > 1
    return np.array(logs), known
