"""BaVarIA: likelihood ratio with a prior, for few shadow models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.shadow_models.arrays import Array, as_given, read_arrays
from lightning_mia.attacks.shadow_models.centres import Centres, fit_centres, in_and_out_moments
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import MAX_SHAPE, check_in_and_out, moments, variance_prior
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix

TINY = float(np.finfo(float).tiny)


class BaVarIA(OnlineOrOffline):
    """Bayesian likelihood ratio attack with a normal-inverse-gamma prior.

    Score: log t_in(x) − log t_out(x), with the Student-t predictive densities of an IN and an OUT model.

    A unit's signal is N(c, σ²) under an OUT model and N(d, ρσ²) under an IN model. The centres have a prior over units:
    c ~ N(c̄, τ²) and d | c, σ² ~ N(d̄ + b (c − c̄), vσ²). σ² ~ inverse gamma(α, β). All parameters are estimated over all
    units from shadow models (empirical Bayes).

    Deviation from the paper, which treats the IN and OUT means of a unit as independent: here d depends on c through a
    regression. IN and OUT models both inform the unit's difficulty, and the prior on d given c is strong, which matters
    with few shadow models; two are enough. Offline, c is estimated from OUT shadow models only, and d follows from the
    regression.

    The ratio of two densities of unequal width falls again where the signal leaves both. A target that leaks more than
    its shadow models would hide its members there. Beyond its extreme on either side of the centres, the ratio is
    therefore held: it rises with the signal from the lower to the upper extreme, or falls if d < c.

    With reference models, of which no member is known, nothing is learned about d. The score is then the deviation of x
    from the OUT predictive density, in its own scale: c and σ² still have their priors over units.

    A multivariate signal is first projected onto the direction that separates IN from OUT shadow models.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=2, effect=2.0)
        >>> audit.auroc(BaVarIA().score(audit.evidence)), BaVarIA(online=False).name
        (0.93, 'bavaria_offline')
    """

    base_name = "bavaria"
    levels = ("utterance", "speaker")
    reference = "Brännvall (2026), BaVarIA-t, with a joint prior of the OUT and IN means"
    min_shadows_online = 2
    min_shadows_offline = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the log-likelihood ratio of every unit."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        matrix = oriented(matrix, two_sided=False)
        if not matrix.learning_members.size:
            return bavaria_without_members(matrix.target[:, 0], matrix.shadows[..., 0])
        prior = fit_prior(matrix.learning_shadows[..., 0], matrix.learning_members)
        return bavaria(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members, self.online, prior)


@dataclass(frozen=True)
class Prior:
    """Parameters of the prior, shared by all units.

    Attributes:
        centres: c̄, d̄, τ², b and ρ.
        in_spread: v, variance of d around the regression in units of σ².
        shape: α of the inverse gamma distribution of σ².
        scale: β of this distribution.
    """

    centres: Centres
    in_spread: float
    shape: float
    scale: float


def fit_prior(shadows: np.ndarray, members: np.ndarray) -> Prior:
    """Estimate the prior by the method of moments.

    Uses the units that have IN and OUT shadow models. A single pair of shadow models leaves no residuals: σ² is then
    assumed equal for all units.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
    """
    inside, outside = in_and_out_moments(shadows, members)
    centres = fit_centres(inside, outside)
    freedom = inside.count + outside.count - 2
    if freedom.any():
        shape, scale = variance_prior((inside.squares / centres.ratio + outside.squares)[:, 0], freedom)
    else:
        shape, scale = MAX_SHAPE, MAX_SHAPE * centres.noise
    return Prior(centres, centres.in_spread / centres.noise, shape, scale)


def bavaria(
    target: Array,
    shadows: ArrayLike | Tensor,
    inside: ArrayLike | Tensor | None,
    online: bool = True,
    prior: Prior | None = None,
) -> Array:
    """Compute the Bayesian likelihood ratio of IN and OUT shadow models.

    log t_in(x) − log t_out(x), the log-ratio of the predictive densities: BaVarIA-t of Brännvall (2026), with the joint
    prior of `BaVarIA`, and held beyond its extremes. Two shadow models are enough.

    Args:
        target: (n,) signals of the target, higher for members, such as the negative loss.
        shadows: (K, n) the same signals of the shadow models.
        inside: (K, n) bool, the shadow model was trained on the unit; each unit is OUT (and, online, IN) for some.
        online: whether the unit's IN shadow models are used. The prior is fitted on IN and OUT models in either case.
        prior: parameters of the prior; None: fitted on `shadows`. It has to be given if no unit is IN for one shadow
            model and OUT for another: `fit_prior` on the shadow models' own pool.

    Returns:
        (n,) float64, of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite, or there are no IN or OUT shadow models.

    Example:
        >>> target = np.array([2.0, 0.1, 1.5, -0.2])
        >>> shadows = np.array([[1.9, 0.0, 0.2, 1.4], [0.1, 1.6, 1.8, 0.1]])
        >>> inside = np.array([[True, False, False, True], [False, True, True, False]])
        >>> bavaria(target, shadows, inside) > 0
        array([ True, False,  True, False])
    """
    signals = read_arrays("bavaria", target, shadows, inside, online=online)
    prior = prior or fit_prior(signals.shadows, signals.inside)
    return as_given(_log_ratio(signals.target, signals.shadows, signals.inside, prior, online), target)


def _log_ratio(target: np.ndarray, shadows: np.ndarray, members: np.ndarray, prior: Prior, online: bool) -> np.ndarray:
    centres, spread = prior.centres, prior.in_spread
    outside = moments(shadows[..., None], ~members)
    inside = moments(shadows[..., None], members if online else np.zeros_like(members))
    y = outside.mean[:, 0] - centres.out_mean
    z = np.where(inside.count > 0, inside.mean[:, 0] - centres.in_mean, 0.0)

    # Precisions in units of 1 / σ²: of y about c, and of z about b c
    out_weight = outside.count.astype(float)
    in_weight = inside.count / (centres.ratio + spread * inside.count)

    # Posterior of σ²: its prior, updated by the residuals and the deviation of z from the regression on y
    deviation = in_weight * out_weight / (out_weight + centres.slope**2 * in_weight) * (z - centres.slope * y) ** 2
    shape = prior.shape + (inside.count + outside.count - 1) / 2
    squares = (inside.squares / centres.ratio + outside.squares)[:, 0]
    variance = (prior.scale + (squares + deviation) / 2) / shape

    # Posterior of c, in which σ² is this estimate, and of d given c
    precision = variance / max(centres.spread, TINY) + out_weight + centres.slope**2 * in_weight
    c = (out_weight * y + centres.slope * in_weight * z) / precision
    own = spread * in_weight  # weight of the unit's own IN mean against the regression
    d = (1 - own) * centres.slope * c + own * z
    d_spread = (1 - own) * spread + ((1 - own) * centres.slope) ** 2 / precision

    in_centre, in_scale = centres.in_mean + d, variance * (centres.ratio + d_spread)
    out_centre, out_scale = centres.out_mean + c, variance * (1 + 1 / precision)
    low, high = _extremes(in_centre - out_centre, 2 * shape * in_scale, 2 * shape * out_scale)
    x = np.clip(target, out_centre + low, out_centre + high)
    return _log_student(x - in_centre, in_scale, shape) - _log_student(x - out_centre, out_scale, shape)


def _extremes(shift: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find where the log-ratio of two Student's t densities is extreme.

    The ratio is monotone between its only two extremes, and both centres lie there. Its derivative is zero where
    δ u (u − δ) + A_out (u − δ) − A_in u = 0, with u the distance from the OUT centre.

    Args:
        shift: (n,) δ, IN centre minus OUT centre.
        inside: (n,) A_in, degrees of freedom times squared scale.
        outside: (n,) A_out.

    Returns:
        (n,) lower and upper u; infinite where the centres are equal.
    """
    linear = outside - inside - shift**2
    larger = -(linear + np.copysign(np.sqrt(linear**2 + 4 * shift**2 * outside), linear)) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([larger / shift, -outside * shift / larger])
    ends = np.where(shift != 0, roots, [[-np.inf], [np.inf]])
    return ends.min(0), ends.max(0)


def bavaria_without_members(target: np.ndarray, models: np.ndarray) -> np.ndarray:
    """Compute every unit's deviation from its OUT predictive density.

    In units of the scale of Student's t, whose degrees of freedom are the same for all units.

    Args:
        target: (n,) signals under the target.
        models: (K, n) signals under two or more models that are OUT for every unit.

    Returns:
        (n,) float64.
    """
    outside = moments(models[..., None], np.ones(models.shape, dtype=bool))
    n_models = len(models)
    shape, scale = variance_prior(outside.squares[:, 0], outside.count - 1)
    variance = (scale + outside.squares[:, 0] / 2) / (shape + (n_models - 1) / 2)
    centre = outside.mean[:, 0].mean()
    y = outside.mean[:, 0] - centre
    noise = float(outside.scatter[0, 0]) / outside.freedom
    spread = max(float(y @ y) / max(len(y) - 1, 1) - noise / n_models, 0.0)
    precision = variance / max(spread, TINY) + n_models
    return (target - centre - n_models * y / precision) / np.sqrt(variance * (1 + 1 / precision))


def _log_student(deviation: np.ndarray, variance: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Compute the log density of Student's t.

    It has 2 · shape degrees of freedom; terms that depend on the shape alone are omitted, as they cancel.
    """
    return -0.5 * np.log(variance) - (shape + 0.5) * np.log1p(deviation**2 / variance / (2 * shape))
