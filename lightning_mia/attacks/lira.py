"""LiRA: likelihood ratio between IN and OUT shadow models."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.shadow_models.arrays import Array, as_given, read_arrays
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import Moments, check_in_and_out, moments, pooled_covariance
from lightning_mia.attacks.shadow_models.own_variances import own_variances
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix

MIN_DIMENSIONS_TO_PROJECT = 10  # from here on, the covariance is too uncertain to invert for IN and OUT separately


class LiRA(OnlineOrOffline):
    """Likelihood ratio attack with a recording as the unit.

    Score, online: log N(x; μ_in, σ_in²) − log N(x; μ_out, σ_out²).
    Score, offline: z = (x − μ_out) / σ_out, which ranks like the paper's Φ(z) and never saturates at 1. It is
    one-sided, as in the paper; the published code is two-sided.

    The means μ are those of the unit. The variances are those of the residuals from these means, for IN and OUT
    separately; raw signals would overestimate them. With few shadow models they are pooled over units ("fixed
    variance"); with more, a unit has its own variance to the extent that two halves of the shadow models agree on which
    units vary more. A multivariate signal has the pooled covariance of its residuals; with ten or more dimensions it is
    first projected onto the direction that separates IN from OUT shadow models. Offline, every multivariate signal is
    projected, and the sign of a two-sided signal is learned from shadow models.

    Deviation from the paper, in which every unit has its own variance from 64 shadow models on: in heavy-tailed signals
    these are still so noisy that pooled ones are better.

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
            return lira(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members, online=False)
        if matrix.target.shape[1] >= MIN_DIMENSIONS_TO_PROJECT:
            matrix = oriented(matrix, two_sided=False)
        return lira(matrix.target, matrix.shadows, matrix.members)


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


def lira(target: Array, shadows: ArrayLike | Tensor, inside: ArrayLike | Tensor | None, online: bool = True) -> Array:
    """Compute the likelihood ratio of IN and OUT shadow models.

    Online, log N(x; μ_in, σ_in²) − log N(x; μ_out, σ_out²): Carlini et al. (2022), algorithm 1. Offline,
    (x − μ_out) / σ_out, which ranks like their equation 4, one-sided. Means are those of the unit; variances as in
    `LiRA`: pooled over units with few shadow models, the unit's own to the extent that they can be estimated.

    Args:
        target: (n,) signals of the target, higher for members and roughly normal, such as the logit of the true label's
            probability, or the negative log loss. Online, also (n, d): d signals, which have one pooled covariance.
        shadows: (K, n) the same signals of the shadow models, or (K, n, d).
        inside: (K, n) bool, the shadow model was trained on the unit. Online, each unit is IN and OUT for some, and
            some units twice. None: OUT for all, for the offline form.
        online: whether IN shadow models are used.

    Returns:
        (n,) float64, of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite, or there are too few IN or OUT shadow
            models.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> inside = np.arange(8)[:, None] % 2 == np.arange(6) % 2  # (K, n)
        >>> members = np.arange(6) < 3
        >>> shadows, target = rng.normal(3 * inside), rng.normal(3 * members)
        >>> scores = lira(target, shadows, inside)
        >>> scores.shape, bool(scores[members].mean() > scores[~members].mean())
        ((6,), True)
        >>> lira(target, shadows, inside=None, online=False).shape  # no shadow model has seen these units
        (6,)
    """
    signals = read_arrays("lira", target, shadows, inside, online=online, multivariate=online)
    if not online:
        return as_given(lira_offline(signals.target, signals.shadows, signals.inside), target)
    if signals.target.ndim == 1:
        return as_given(lira_online(signals.target[:, None], signals.shadows[..., None], signals.inside), target)
    return as_given(lira_online(signals.target, signals.shadows, signals.inside), target)


def lira_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute the log-likelihood ratio of every unit.

    Args:
        target: (n, d) signals under the target.
        shadows: (K, n, d) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is IN and OUT for some.

    Returns:
        (n,) float64.
    """
    groups = [members, ~members]
    inside, outside = (moments(shadows, chosen) for chosen in groups)
    if target.shape[1] == 1:
        in_variances, out_variances = own_variances(shadows[..., 0], groups)
        return _log_normal(target - inside.mean, in_variances) - _log_normal(target - outside.mean, out_variances)
    return _log_density(target, inside) - _log_density(target, outside)


def lira_offline(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute every unit's z-score under its OUT shadow models.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is OUT for some.

    Returns:
        (n,) float64. With one OUT shadow model per unit there are no residuals to estimate σ_out from; 1 is used,
        which does not affect the ranking.
    """
    outside = moments(shadows[..., None], ~members)
    deviations = target - outside.mean[:, 0]
    return deviations / np.sqrt(own_variances(shadows, [~members])[0]) if outside.freedom else deviations


def _log_normal(deviations: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Compute the log density of single normal numbers, (n, 1) → (n,).

    The term in log 2π is omitted, as it cancels.
    """
    return -0.5 * (np.log(variances) + deviations[:, 0] ** 2 / variances)


def _log_density(x: np.ndarray, group: Moments) -> np.ndarray:
    """Compute log N(x; μ, Σ) with pooled Σ, (n, d) → (n,), likewise."""
    deviations = x - group.mean
    covariance = pooled_covariance(group)
    distances = np.einsum("nd,nd->n", deviations, np.linalg.solve(covariance, deviations.T).T)
    return -0.5 * (np.linalg.slogdet(covariance)[1] + distances)
