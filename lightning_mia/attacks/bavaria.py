"""BaVarIA: likelihood ratio with a prior, for few shadow models."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import (
    MAX_SHAPE,
    MIN_VARIANCE,
    check_in_and_out,
    in_and_out,
    moments,
    variance_prior,
    variance_ratio,
)
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class BaVarIA(OnlineOrOffline):
    """Bayesian likelihood ratio attack with a normal-inverse-gamma prior.

    Score: log t_in(x) − log t_out(x), with the Student-t predictive densities of an IN and an OUT model.

    A unit's signal is N(c, σ²) under an OUT model and N(c + δ, ρσ²) under an IN model. c has a flat prior,
    δ | σ² ~ N(m, vσ²) and σ² ~ inverse gamma(α, β). The five parameters m, v, α, β, ρ are estimated over all units
    from shadow models (empirical Bayes).

    Deviation from the paper, which treats the IN and OUT means of a unit as independent: here they share c. IN and OUT
    models both inform the unit's difficulty, and the prior on δ is strong, which matters with few shadow models; two
    are enough. Offline, c is estimated from OUT shadow models only, and δ keeps its prior.

    A multivariate signal is first projected onto the direction that separates IN from OUT shadow models.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=2, effect=2.0)
        >>> audit.auroc(BaVarIA().score(audit.evidence)), BaVarIA(online=False).name
        (0.91, 'bavaria_offline')
    """

    base_name = "bavaria"
    levels = ("utterance", "speaker")
    reference = "Brännvall (2026), BaVarIA-t, with a prior on the difference of the means"
    min_shadows_online = 2
    min_shadows_offline = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the log-likelihood ratio of every unit."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        matrix = oriented(matrix, two_sided=False)
        prior = fit_prior(matrix.learning_shadows[..., 0], matrix.learning_members)
        return bavaria(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members, prior, self.online)


@dataclass(frozen=True)
class Prior:
    """Parameters of the prior, shared by all units.

    Attributes:
        shift: m, mean of δ, the IN mean minus the OUT mean.
        shift_spread: v, variance of δ in units of σ².
        shape: α of the inverse gamma distribution of σ².
        scale: β of this distribution.
        ratio: ρ, variance of IN signals divided by that of OUT signals of the same unit.
    """

    shift: float
    shift_spread: float
    shape: float
    scale: float
    ratio: float


def fit_prior(shadows: np.ndarray, members: np.ndarray) -> Prior:
    """Estimate the prior by moments.

    Uses the units that have IN and OUT shadow models. A single pair of shadow models leaves no residuals: δ is then
    assumed equal for all units, and σ² is estimated from the variation of IN − OUT between units.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
    """
    usable = in_and_out(members)
    if not usable.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn from")
    inside, outside = (moments(shadows[:, usable, None], chosen[:, usable]) for chosen in (members, ~members))
    differences = (inside.mean - outside.mean)[:, 0]
    shift = float(differences.mean())
    spread = float(np.square(differences - shift).sum() / max(len(differences) - 1, 1))
    ratio = variance_ratio(inside, outside)
    weights = ratio / inside.count + 1 / outside.count  # of σ² in the variance of a difference
    squares = (inside.squares / ratio + outside.squares)[:, 0]
    freedom = inside.count + outside.count - 2
    if freedom.any():
        shape, scale = variance_prior(squares, freedom)
        variance = max(float(squares.sum() / freedom.sum()), MIN_VARIANCE)
        shift_spread = max(0.0, spread / variance - float(weights.mean()))
    else:
        shape, shift_spread = MAX_SHAPE, 0.0
        scale = MAX_SHAPE * max(spread / float(weights.mean()), MIN_VARIANCE)
    return Prior(shift, shift_spread, shape, scale, ratio)


def bavaria(
    target: np.ndarray, shadows: np.ndarray, members: np.ndarray, prior: Prior, online: bool = True
) -> np.ndarray:
    """Compute the log-ratio of the predictive densities of every unit.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is OUT for some.
        prior: parameters of the prior.
        online: whether IN shadow models are used.

    Returns:
        (n,) float64.
    """
    outside = moments(shadows[..., None], ~members)
    inside = moments(shadows[..., None], members if online else np.zeros_like(members))
    in_weight, out_weight = inside.count / prior.ratio, outside.count.astype(float)
    in_mean, out_mean = np.where(inside.count > 0, inside.mean[:, 0], 0.0), outside.mean[:, 0]

    # Posterior of δ: its prior, updated by the difference of the IN and OUT means
    product, total = in_weight * out_weight, in_weight + out_weight
    precision = product / (total + prior.shift_spread * product)  # 1 / (variance of the difference in units of σ²)
    deviation = in_mean - out_mean - prior.shift
    shift = prior.shift + prior.shift_spread * precision * deviation
    shift_spread = prior.shift_spread * (1 - prior.shift_spread * precision)

    # Posterior of σ²: its prior, updated by the residuals and this deviation
    shape = prior.shape + (inside.count + outside.count - 1) / 2
    squares = (inside.squares / prior.ratio + outside.squares)[:, 0]
    variance = (prior.scale + (squares + precision * deviation**2) / 2) / shape

    # Predictive means and variances, both from IN and OUT models together
    in_share, out_share = in_weight / total, out_weight / total
    in_centre = out_share * (out_mean + shift) + in_share * in_mean
    out_centre = out_share * out_mean + in_share * (in_mean - shift)
    in_variance = variance * (prior.ratio + 1 / total + out_share**2 * shift_spread)
    out_variance = variance * (1 + 1 / total + in_share**2 * shift_spread)
    return _log_student(target - in_centre, in_variance, shape) - _log_student(target - out_centre, out_variance, shape)


def _log_student(deviation: np.ndarray, variance: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Compute the log density of Student's t.

    It has 2 · shape degrees of freedom; terms in the shape alone are omitted.
    """
    return -0.5 * np.log(variance) - (shape + 0.5) * np.log1p(deviation**2 / variance / (2 * shape))
