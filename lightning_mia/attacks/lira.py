"""LiRA: the likelihood ratio of a unit's signal between shadow models that are IN for it and that are OUT."""

import numpy as np

from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import MIN_VARIANCE, Side, check_sides, pooled_covariance, side
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix

MANY = 10  # numbers; a covariance of so many is too uncertain to be inverted for either side apart
SUFFICIENT_FOR_OWN_VARIANCE = 32  # shadow models a side; the paper: 64 in all


class LiRA(OnlineOrOffline):
    """Likelihood ratio attack: normal densities about a unit's centre over IN and over OUT shadow models.

    Online: log N(x; μ_in, σ_in²) − log N(x; μ_out, σ_out²). Offline: the z-score (x − μ_out) / σ_out, which ranks as
    the paper's Φ(z) does and never becomes 1; it is one-sided, as in the paper (the published code is two-sided).

    The centres are a unit's own. The variances are those of the residuals from these centres, over all units, IN
    and OUT apart ("fixed variance"; some codes take the raw signals, which is wrong); a unit's own variance is taken
    from 32 shadow models a side on. Several signals are judged jointly, with the covariance of the residuals; ten or
    more are first projected on the direction that tells IN from OUT on shadow models. Offline, the sign of a signal
    whose sign is unknown, and the direction of several, are learned on shadow models.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a unit are read too.
    """

    stem = "lira"
    levels = ("utterance",)
    reference = "Carlini et al. (2022), algorithm 1 and its offline variant"
    least_online = 4  # two a side, whose difference is the spread
    least_offline = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Log-likelihood ratio, or z-score."""
        check_sides(matrix.units, matrix.members, self.online)
        if self.online:
            few = matrix.target.shape[1] < MANY
            one = matrix if few else oriented(matrix, two_sided=False)
            return lira_online(one.target, one.shadows, one.members)
        one = oriented(matrix, self.signal.two_sided)
        return lira_offline(one.target[:, 0], one.shadows[..., 0], one.members)


def lira_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of every unit.

    Args:
        target: (n, d) signals under the target.
        shadows: (K, n, d) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each is IN and OUT somewhere.

    Returns:
        (n,) float64.
    """
    inside, outside = side(shadows, members), side(shadows, ~members)
    return _log_density(target, inside) - _log_density(target, outside)


def lira_offline(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How many standard deviations a unit lies above its OUT shadow models.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each is OUT somewhere.

    Returns:
        (n,) float64. With a single OUT shadow model a unit, there is no residual to estimate σ_out from: it is
        taken as 1 then, which changes no ranking.
    """
    outside = side(shadows[..., None], ~members)
    variance = _variances(outside) if outside.freedom else np.ones((len(target), 1))
    return ((target[:, None] - outside.mean) / np.sqrt(variance))[:, 0]


def _log_density(x: np.ndarray, one: Side) -> np.ndarray:
    """log N(x; μ, Σ) of every unit, (n, d) → (n,), without the term in log 2π, which cancels."""
    deviations = x - one.mean
    if x.shape[1] == 1:
        variances = _variances(one)
        return -0.5 * (np.log(variances) + deviations**2 / variances)[:, 0]
    covariance = pooled_covariance(one)
    distances = np.einsum("nd,nd->n", deviations, np.linalg.solve(covariance, deviations.T).T)
    return -0.5 * (np.linalg.slogdet(covariance)[1] + distances)


def _variances(one: Side) -> np.ndarray:
    """(n, 1) variance of a single signal: a unit's own where there is enough to see it, else that of all."""
    own = np.maximum(one.squares / np.maximum(one.count - 1, 1)[:, None], MIN_VARIANCE)
    enough = one.count >= SUFFICIENT_FOR_OWN_VARIANCE
    return np.where(enough[:, None], own, pooled_covariance(one)[0, 0])


class SpeakerLiRA(LiRA):
    """LiRA with a speaker as the unit: the mean of the signals of the speaker's recordings, then the ratio.

    The mean is over the same number of recordings for every speaker, and its ratio is taken at speaker level, where
    the spread between shadow models is that of means. A sum of the recordings' own ratios would grow with their number
    and count as independent what one model says of one voice.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a speaker are read too.
    """

    stem = "speaker_lira"
    levels = ("speaker",)
