"""BaVarIA: the likelihood ratio with a prior for what few shadow models cannot tell."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import (
    MAX_SHAPE,
    MIN_VARIANCE,
    both_sides,
    check_sides,
    side,
    variance_prior,
    variance_ratio,
)
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class BaVarIA(OnlineOrOffline):
    """Ratio of Student-t predictive densities, IN against OUT, under a normal-inverse-gamma prior.

    A unit's signal is normal about c under an OUT model, with variance σ², and about c + δ under an IN model, with
    variance ρσ². Every unit has its own c (flat prior), δ | σ² ~ N(m, vσ²) and σ² ~ inverse gamma(α, β). The
    prior's five numbers are estimated over all units (empirical Bayes), from shadow models alone.

    Unlike in the paper, the IN and the OUT mean of a unit are not independent: they share c, so that both sides tell
    how hard the unit is, and a prior on their difference δ is a strong one. It is what counts with few shadow models:
    two are enough. Offline, c comes from the OUT shadow models alone and δ from its prior.

    Several signals are first projected on the direction that tells IN from OUT on shadow models.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a unit are read too.
    """

    stem = "bavaria"
    levels = ("utterance", "speaker")
    reference = "Brännvall (2026), BaVarIA-t, with a prior on the difference of the means"
    least_online = 2
    least_offline = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Log-likelihood ratio."""
        check_sides(matrix.units, matrix.members, self.online)
        one = oriented(matrix, two_sided=False)
        prior = fit_prior(one.learning_shadows[..., 0], one.learning_members)
        return bavaria(one.target[:, 0], one.shadows[..., 0], one.members, prior, self.online)


@dataclass(frozen=True)
class Prior:
    """What holds for all units.

    Attributes:
        shift: m, mean of δ = IN − OUT.
        shift_spread: v, variance of δ over σ².
        shape: α of the inverse gamma of σ².
        scale: its β.
        ratio: ρ, variance of an IN signal over that of an OUT signal of the same unit.
    """

    shift: float
    shift_spread: float
    shape: float
    scale: float
    ratio: float


def fit_prior(shadows: np.ndarray, members: np.ndarray) -> Prior:
    """Estimate the prior by moments, over all units that are IN for a shadow model and OUT for another.

    With one shadow model a side no residual is left: δ is taken as the same for all units then, and σ² from how the
    differences IN − OUT vary.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.

    Raises:
        CannotRun: no unit tells IN from OUT.
    """
    both = both_sides(members)
    if not both.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn from")
    inside, outside = (side(shadows[:, both, None], chosen[:, both]) for chosen in (members, ~members))
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
    """Log-ratio of the two predictive densities of every unit.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each is OUT somewhere.
        prior: what holds for all units.
        online: whether the shadow models that are IN are read.

    Returns:
        (n,) float64.
    """
    outside = side(shadows[..., None], ~members)
    inside = side(shadows[..., None], members if online else np.zeros_like(members))
    in_weight, out_weight = inside.count / prior.ratio, outside.count.astype(float)
    in_mean, out_mean = np.where(inside.count > 0, inside.mean[:, 0], 0.0), outside.mean[:, 0]

    # δ: from its prior, and from the difference of the two means
    product, total = in_weight * out_weight, in_weight + out_weight
    known = product / (total + prior.shift_spread * product)  # 1 / (variance of the difference in units of σ²)
    surprise = in_mean - out_mean - prior.shift
    shift = prior.shift + prior.shift_spread * known * surprise
    shift_spread = prior.shift_spread * (1 - prior.shift_spread * known)

    # σ²: from its prior, the residuals, and the surprise
    shape = prior.shape + (inside.count + outside.count - 1) / 2
    squares = (inside.squares / prior.ratio + outside.squares)[:, 0]
    variance = (prior.scale + (squares + known * surprise**2) / 2) / shape

    # Both means from both sides, and the variance of their predictions
    in_share, out_share = in_weight / total, out_weight / total
    in_centre = out_share * (out_mean + shift) + in_share * in_mean
    out_centre = out_share * out_mean + in_share * (in_mean - shift)
    in_variance = variance * (prior.ratio + 1 / total + out_share**2 * shift_spread)
    out_variance = variance * (1 + 1 / total + in_share**2 * shift_spread)
    return _log_student(target - in_centre, in_variance, shape) - _log_student(target - out_centre, out_variance, shape)


def _log_student(deviation: np.ndarray, variance: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Log density of Student's t with 2 · shape degrees of freedom, without the terms that these alone decide."""
    return -0.5 * np.log(variance) - (shape + 0.5) * np.log1p(deviation**2 / variance / (2 * shape))
