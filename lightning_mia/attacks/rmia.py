"""RMIA: relative likelihood, compared with auxiliary recordings."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, ScalarSignal
from lightning_mia.attacks.shadow_models.arrays import (
    Array,
    as_given,
    complementary_pairs,
    read_arrays,
    read_numbers,
)
from lightning_mia.attacks.shadow_models.centres import fit_centres, in_and_out_moments
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Positive, Share, check_ranges

CANDIDATES = np.linspace(0, 1, 11)  # for a
PUBLISHED_GAMMA = 2.0
TIE_BREAK = 1e-6
TINY = np.finfo(float).tiny


class RMIA(OnlineOrOffline):
    """Robust membership inference attack with a recording as the unit.

    Score: Pr_z[r(x) / r(z) ≥ γ] + 10⁻⁶ log r(x), with r(x) = p(x | θ) / p(x) and auxiliary recordings z, which are in
    no training set.
    Online: p(x) = ½ (p̄_in(x) + p̄_out(x)), the means over IN and OUT shadow models.
    Offline: p(x) = ½ [(1 + a) p̄_out(x) + (1 − a)], which assumes p̄_in = a p̄_out + 1 − a.

    Deviations from the paper: p(x | θ) is the logistic function of the standardised signal under model θ, so that the
    median recording has p = 1/2 under every model. (Any increasing function gives r(x) = 1 if the models agree; this
    one is bounded by 1, as the offline formula requires.) `a` is fitted on the shadow models, each of which takes the
    place of the target, with its pair removed; with a single pair it is the slope of p_in over p̄_out, for the noise of
    p̄_out; with reference models, of which no member is known, it is the slope of p over p̄_out of auxiliary recordings.
    The second term of the score is an addition: the share over z has many ties and increases with r(x), so this term
    only ranks units within a tie.

    The ranking therefore depends neither on γ nor on z, and is that of BASE (Lassila et al. 2025; log r alone). At
    speaker level, z are still single recordings.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.
        gamma: γ, required ratio of r(x) to r(z).
        a: `a` of the offline formula, 0 to 1 (published: 0.3); null: fitted on the shadow models.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=16, effect=2.0)
        >>> audit.auroc(RMIA().score(audit.evidence)), RMIA(online=False, a=0.3).name
        (0.9, 'rmia_offline_a0.3')
    """

    base_name = "rmia"
    levels = ("utterance",)
    reference = "Zarifzadeh, Liu and Shokri (2024), section 2"
    min_shadows_online = 2
    min_shadows_offline = 1

    def __init__(
        self,
        signal: ScalarSignal = DEFAULT_SIGNAL,
        online: bool = True,
        gamma: Positive = PUBLISHED_GAMMA,
        a: Share | None = None,
    ) -> None:
        super().__init__(signal, online)
        check_ranges(RMIA.__init__, {"gamma": gamma, "a": a}, "RMIA.")
        self.gamma = gamma
        self.a = a

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`offline`, γ and `a` unless default, and the signal."""
        offline, signal = super().suffixes
        gamma = f"gamma{self.gamma:g}" if self.gamma != PUBLISHED_GAMMA else ""
        a = f"a{self.a:g}" if self.a is not None and not self.online else ""
        return offline, gamma, a, signal

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the share of z, with r(x) as tie-break."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        if not len(matrix.auxiliary_target):
            raise CannotRun("it needs auxiliary recordings, and there are none")
        matrix = oriented(matrix, self.signal.two_sided)
        a = self.a
        if not self.online and a is None and not matrix.learning_members.size:
            # Reference models, of which no member is known
            a = slope_of_auxiliary(matrix.auxiliary_target[:, 0], matrix.auxiliary_shadows[..., 0])
        elif not self.online and a is None:
            n_outside = float((~matrix.members).sum(0).mean())
            a = fit_a(matrix.learning_shadows[..., 0], matrix.learning_members, matrix.pairs, n_outside)
        return rmia(
            matrix.target[:, 0],
            matrix.shadows[..., 0],
            matrix.members,
            self.online,
            auxiliary_target=matrix.auxiliary_target[:, 0],
            auxiliary_shadows=matrix.auxiliary_shadows[..., 0],
            gamma=self.gamma,
            a=a,
        )


class SpeakerRMIA(RMIA):
    """Robust membership inference attack with a speaker as the unit.

    Score: that of `RMIA`, with x the mean signal over the speaker's recordings.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a speaker are used.
        gamma: γ, required ratio of r(x) to r(z), with single auxiliary recordings z.
        a: `a` of the offline formula, 0 to 1 (published: 0.3); null: fitted on the shadow models.

    Example:
        >>> SpeakerRMIA(gamma=1.5).name, SpeakerRMIA().levels
        ('speaker_rmia_gamma1.5', ('speaker',))
    """

    base_name = "speaker_rmia"
    levels = ("speaker",)


def rmia(
    target: Array,
    shadows: ArrayLike | Tensor,
    inside: ArrayLike | Tensor | None,
    online: bool = True,
    *,
    auxiliary_target: ArrayLike | Tensor | None = None,
    auxiliary_shadows: ArrayLike | Tensor | None = None,
    gamma: Positive = PUBLISHED_GAMMA,
    a: Share | None = None,
) -> Array:
    """Compute the relative likelihood of the unit.

    Pr_z[r(x) / r(z) ≥ γ] + 10⁻⁶ log r(x) over auxiliary units z, with r(x) = p(x | θ) / p(x): Zarifzadeh, Liu and
    Shokri (2024), equation 3; see `RMIA` for p(x). Without auxiliary units it is log r(x), which ranks the units in the
    same order.

    Args:
        target: (n,) signals of the target: log-odds of a probability, such as that of the true label. p(x | θ) is
            their logistic function; divide other signals by their interquartile range, after subtracting the median.
        shadows: (K, n) the same signals of the shadow models.
        inside: (K, n) bool, the shadow model was trained on the unit; each unit is OUT (and, online, IN) for some.
            None: OUT for all, for the offline form.
        online: p(x) is estimated from IN and OUT shadow models. False: from OUT ones, and `a`.
        auxiliary_target: (m,) signals of the target for units that are in no training set.
        auxiliary_shadows: (K, m) signals of the shadow models for the same units.
        gamma: γ, required ratio of r(x) to r(z).
        a: slope of p̄_in over p̄_out, 0 to 1 (published: 0.3); None: fitted on the shadow models. Only for the offline
            form.

    Returns:
        (n,) float64, of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite or out of range, a unit has no OUT (or,
            online, IN) shadow model, or one of the two auxiliary arrays is missing.

    Example:
        >>> target = np.array([2.0, 0.1])
        >>> shadows = np.array([[2.1, 0.3], [-0.2, 2.2]])
        >>> inside = np.array([[True, False], [False, True]])
        >>> np.round(rmia(target, shadows, inside), 2)
        array([ 0.27, -0.34])
        >>> rmia(target, shadows, inside=None, online=False, a=0.3).shape  # no shadow model has seen these units
        (2,)
    """
    check_ranges(rmia, {"gamma": gamma, "a": a}, "attacks.rmia: ")
    signals = read_arrays("rmia", target, shadows, inside, online=online, min_shadows=2 if online else 1)
    if not online and a is None:
        pairs, n_outside = complementary_pairs(signals.inside), float((~signals.inside).sum(0).mean())
        a = fit_a(signals.shadows, signals.inside, pairs, n_outside)

    def log_ratio(values: np.ndarray, others: np.ndarray, members: np.ndarray) -> np.ndarray:
        if a is None or online:
            return log_ratio_online(values, others, members)
        return log_ratio_offline(values, others, members, a)

    ratios = log_ratio(signals.target, signals.shadows, signals.inside)
    if auxiliary_target is None and auxiliary_shadows is None:
        return as_given(ratios, target)
    z, z_shadows = _read_auxiliary(auxiliary_target, auxiliary_shadows, len(signals.shadows))
    z_ratios = log_ratio(z, z_shadows, np.zeros(z_shadows.shape, dtype=bool))
    return as_given(share_exceeded(ratios, z_ratios, gamma) + TIE_BREAK * ratios, target)


def _read_auxiliary(
    target: ArrayLike | Tensor | None, shadows: ArrayLike | Tensor | None, n_shadows: int
) -> tuple[np.ndarray, np.ndarray]:
    if target is None or shadows is None:
        raise InputError("attacks.rmia: give auxiliary_target and auxiliary_shadows together, or neither")
    z = read_numbers("attacks.rmia: auxiliary_target", target)
    z_shadows = read_numbers("attacks.rmia: auxiliary_shadows", shadows)
    if z.ndim != 1 or not len(z) or z_shadows.shape != (n_shadows, len(z)):
        raise InputError(
            f"attacks.rmia: auxiliary_target has shape {z.shape} and auxiliary_shadows {z_shadows.shape}; give (m,) "
            f"and ({n_shadows}, m)"
        )
    return z, z_shadows


def share_exceeded(x_ratios: np.ndarray, z_ratios: np.ndarray, gamma: float) -> np.ndarray:
    """Compute the share of recordings z exceeded by x.

    These are the z with r(x) / r(z) ≥ γ.

    Args:
        x_ratios: (n,) log r(x).
        z_ratios: (m,) log r(z).
        gamma: γ.

    Returns:
        (n,) float64 in [0, 1].

    >>> share_exceeded(np.log([1.0, 4.0]), np.log([0.5, 1.0, 3.0]), gamma=2.0)
    array([0.33333333, 0.66666667])
    """
    return np.searchsorted(np.sort(z_ratios), x_ratios - np.log(gamma), side="right") / len(z_ratios)


def log_ratio_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute log r(x) from IN and OUT shadow models.

    log p(x | θ) − log p(x), with p(x) the mean of the IN and the OUT mean.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model. If a unit is IN for all or OUT for all, that mean
            replaces the missing one.

    Returns:
        (n,) float64.
    """
    from scipy.special import expit, log_expit

    p = expit(shadows)
    inside, outside = _mean(p, members), _mean(p, ~members)
    inside, outside = np.where(np.isnan(inside), outside, inside), np.where(np.isnan(outside), inside, outside)
    return log_expit(target) - np.log(np.maximum((inside + outside) / 2, TINY))


def log_ratio_offline(target: np.ndarray, shadows: np.ndarray, members: np.ndarray, a: float) -> np.ndarray:
    """Compute log r(x) from OUT shadow models.

    log p(x | θ) − log p(x), with p(x) = ½ [(1 + a) p̄_out(x) + (1 − a)].

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is OUT for some.
        a: slope of p̄_in over p̄_out, 0 to 1.

    Returns:
        (n,) float64.
    """
    from scipy.special import expit, log_expit

    return log_expit(target) - _log_offline(_mean(expit(shadows), ~members), a)


def fit_a(shadows: np.ndarray, members: np.ndarray, pairs: np.ndarray, n_outside: float = 1.0) -> float:
    """Fit `a` by AUROC over the shadow models.

    Each shadow model takes the place of the target and is attacked with the OUT models of the other pairs; its partner
    would reveal its members.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.
        pairs: (K,) int, the pair of each shadow model.
        n_outside: OUT models per unit of the attack, for a single pair.

    Returns:
        The best of 0, 0.1, …, 1; of equally good values, the smallest. A single pair leaves no other shadow model; see
        `slope_of_pair`.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
    """
    from scipy.special import expit, log_expit

    p, log_p = expit(shadows), log_expit(shadows)
    auroc_sums = np.zeros(len(CANDIDATES))
    for shadow in range(len(shadows)):
        outside = _mean(p, ~members & (pairs != pairs[shadow])[:, None])
        has_out = ~np.isnan(outside)
        labels, log_target = members[shadow, has_out], log_p[shadow, has_out]
        if labels.any() and not labels.all():
            auroc_sums += [_auroc(log_target - _log_offline(outside[has_out], a), labels) for a in CANDIDATES]
    if auroc_sums.any():
        return float(CANDIDATES[np.argmax(auroc_sums)])
    return slope_of_pair(p, members, n_outside)


def slope_of_pair(p: np.ndarray, members: np.ndarray, n_outside: float) -> float:
    """Compute the slope of p_in over p̄_out with a single pair.

    p̄_out is a noisy measurement of a unit's difficulty, and the slope to predict p_in with is the true one times the
    reliability of p̄_out. The latter depends on the number of OUT models: one in the pair, but both of them for a unit
    of which they have never been members. `Centres` has the true slope and the noise.

    Args:
        p: (2, n) probabilities.
        members: (2, n) bool, the unit is IN for the shadow model.
        n_outside: OUT models per unit of the attack.

    Returns:
        0 to 1.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
    """
    centres = fit_centres(*in_and_out_moments(p, members))
    reliability = centres.spread / max(centres.spread + centres.noise / n_outside, TINY)
    return float(np.clip(centres.slope * reliability, 0, 1))


def slope_of_auxiliary(target: np.ndarray, models: np.ndarray) -> float:
    """Compute the slope of the target's p over p̄_out, on recordings that are OUT for all.

    With the published 0.3, the ratio of a hard recording would stay low if nobody was trained on it.

    Args:
        target: (m,) signals of auxiliary recordings under the target.
        models: (K, m) the same under reference models.

    Returns:
        0 to 1.
    """
    from scipy.special import expit

    p, outside = expit(target), expit(models).mean(axis=0)
    centred = outside - outside.mean()
    return float(np.clip(centred @ p / max(centred @ centred, TINY), 0, 1))


def _mean(p: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Average over the chosen shadow models, (K, n) → (n,).

    NaN for a unit without chosen models.
    """
    count = chosen.sum(0)
    total = np.einsum("kn,kn->n", p, chosen.astype(float))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _log_offline(outside: np.ndarray, a: float) -> np.ndarray:
    """Compute log ½[(1 + a) p̄_out + (1 − a)]."""
    return np.log(np.maximum(((1 + a) * outside + (1 - a)) / 2, TINY))


def _auroc(scores: np.ndarray, members: np.ndarray) -> float:
    """Compute the AUROC, counting ties half."""
    inside, outside = np.sort(scores[members]), np.sort(scores[~members])  # sorted needles speed up the search
    below = [np.searchsorted(outside, inside, side=edge) for edge in ("left", "right")]
    return float((below[0] + below[1]).mean() / 2 / len(outside))
