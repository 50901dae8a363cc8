"""LiRA: likelihood ratio between IN and OUT shadow models."""

import numpy as np

from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import (
    MIN_VARIANCE,
    Moments,
    check_in_and_out,
    moments,
    pooled_covariance,
)
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix

MIN_DIMENSIONS_TO_PROJECT = 10  # from here on, the covariance is too uncertain to invert for IN and OUT separately
SUFFICIENT_FOR_OWN_VARIANCE = 32  # IN, or OUT, shadow models; the paper: 64 in all


class LiRA(OnlineOrOffline):
    """Likelihood ratio attack with a recording as the unit.

    Score, online: log N(x; μ_in, σ_in²) − log N(x; μ_out, σ_out²).
    Score, offline: z = (x − μ_out) / σ_out, which ranks like the paper's Φ(z) and never saturates at 1. It is
    one-sided, as in the paper; the published code is two-sided.

    The means μ are those of the unit. The variances are those of the residuals from these means, pooled over units,
    for IN and OUT separately ("fixed variance"). Raw signals would overestimate them. With 32 or more IN, or OUT,
    shadow models a unit has its own variance. A multivariate signal has the covariance of its residuals; with ten or
    more dimensions it is first projected onto the direction that separates IN from OUT shadow models. Offline, every
    multivariate signal is projected, and the sign of a two-sided signal is learned from shadow models.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=16, effect=2.0)
        >>> audit.auroc(LiRA().score(audit.evidence)), audit.auroc(LiRA(online=False).score(audit.evidence))
        (0.9, 0.91)
    """

    base_name = "lira"
    levels = ("utterance",)
    reference = "Carlini et al. (2022), algorithm 1 and its offline variant"
    min_shadows_online = 4  # residuals require two IN and two OUT shadow models
    min_shadows_offline = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the log-likelihood ratio, or the z-score, of every unit."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        if not self.online:
            matrix = oriented(matrix, self.signal.two_sided)
            return lira_offline(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members)
        if matrix.target.shape[1] >= MIN_DIMENSIONS_TO_PROJECT:
            matrix = oriented(matrix, two_sided=False)
        return lira_online(matrix.target, matrix.shadows, matrix.members)


class SpeakerLiRA(LiRA):
    """Likelihood ratio attack with a speaker as the unit.

    Score: that of `LiRA`, with x the mean signal over the speaker's recordings, equally many for every speaker. A sum
    of per-recording ratios would grow with the number of recordings, and treat the correlated signals of one voice
    under one model as independent.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a speaker are used.

    Example:
        >>> SpeakerLiRA(online=False).name, SpeakerLiRA().levels
        ('speaker_lira_offline', ('speaker',))
    """

    base_name = "speaker_lira"
    levels = ("speaker",)


def lira_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute the log-likelihood ratio of every unit.

    Args:
        target: (n, d) signals under the target.
        shadows: (K, n, d) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is IN and OUT for some.

    Returns:
        (n,) float64.
    """
    return _log_density(target, moments(shadows, members)) - _log_density(target, moments(shadows, ~members))


def lira_offline(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute the z-score of every unit under its OUT shadow models.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is OUT for some.

    Returns:
        (n,) float64. With one OUT shadow model per unit there are no residuals to estimate σ_out from; 1 is used,
        which does not affect the ranking.
    """
    outside = moments(shadows[..., None], ~members)
    variance = _variances(outside) if outside.freedom else np.ones((len(target), 1))
    return ((target[:, None] - outside.mean) / np.sqrt(variance))[:, 0]


def _log_density(x: np.ndarray, group: Moments) -> np.ndarray:
    """Compute log N(x; μ, Σ), (n, d) → (n,).

    The term in log 2π is omitted, as it cancels.
    """
    deviations = x - group.mean
    if x.shape[1] == 1:
        variances = _variances(group)
        return -0.5 * (np.log(variances) + deviations**2 / variances)[:, 0]
    covariance = pooled_covariance(group)
    distances = np.einsum("nd,nd->n", deviations, np.linalg.solve(covariance, deviations.T).T)
    return -0.5 * (np.linalg.slogdet(covariance)[1] + distances)


def _variances(group: Moments) -> np.ndarray:
    """Estimate the variance of a single signal, (n, 1).

    It is the unit's own with sufficient shadow models, else pooled.
    """
    own = np.maximum(group.squares / np.maximum(group.count - 1, 1)[:, None], MIN_VARIANCE)
    sufficient = group.count >= SUFFICIENT_FOR_OWN_VARIANCE
    return np.where(sufficient[:, None], own, pooled_covariance(group)[0, 0])
