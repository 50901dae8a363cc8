"""RMIA: a unit's likelihood under the target, relative to other models, against that of other recordings."""

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.scalar_signals.base import PretextScore, ScalarSignal
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import both_sides, check_sides
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from lightning_mia.utilities.errors import InputError

GRID = np.linspace(0, 1, 11)  # of a
PUBLISHED_GAMMA = 2.0
TIE_BREAK = 1e-6
TINY = np.finfo(float).tiny


class RMIA(OnlineOrOffline):
    """Robust membership inference attack: Pr_z[r(x) / r(z) ≥ γ], with r(x) = p(x | θ) / p(x).

    z are auxiliary recordings, which no model was trained on. p(x | θ) is what the logistic function makes of the
    signal of model θ, which stands in for log-odds: standardised, so that the middle recording has p = 1/2 under every
    model. Any increasing function would do for the ratio to be 1 where the models agree; this one
    is bounded by 1, as the offline formula wants.

    Online: p(x) is half the mean over IN and half that over OUT shadow models. Offline: ½[(1 + a) p̄_out(x) + (1 − a)],
    which takes p̄_in to be a p̄_out + 1 − a; `a` is fitted on the shadow models, each as the target in turn with its pair
    left out.

    The share over z is a count, in which units tie. r(z) does not depend on x, so the share grows with r(x): 1e-6 log
    r(x) is added to it, which ranks the units within a tie and contradicts no share. All of γ, z and BASE (Lassila et
    al., 2025), log r alone, hence rank alike. At speaker level z are single recordings.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a unit are read too.
        gamma: γ, by how much a unit's ratio must exceed that of z.
        a: of the offline formula, 0 to 1 (published: 0.3); by default fitted on the shadow models.
    """

    stem = "rmia"
    levels = ("utterance",)
    reference = "Zarifzadeh, Liu and Shokri (2024), section 2"
    least_online = 2
    least_offline = 2

    def __init__(
        self,
        signal: ScalarSignal = PretextScore(),
        online: bool = True,
        gamma: float = PUBLISHED_GAMMA,
        a: float | None = None,
    ) -> None:
        super().__init__(signal, online)
        if gamma <= 0 or (a is not None and not 0 <= a <= 1):
            raise InputError(f"RMIA's gamma must be above 0 and its a between 0 and 1, but they are {gamma} and {a}")
        self.gamma = gamma
        self.a = a

    @property
    def variant(self) -> str:
        """`_offline`, and γ and `a` where they are not the default."""
        gamma = f"_gamma{self.gamma:g}" if self.gamma != PUBLISHED_GAMMA else ""
        a = f"_a{self.a:g}" if self.a is not None and not self.online else ""
        return super().variant + gamma + a

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Share of the auxiliary recordings, with the ratio itself as a tie-break."""
        check_sides(matrix.units, matrix.members, self.online)
        if not len(matrix.auxiliary_target):
            raise CannotRun("it needs auxiliary recordings, and there are none")
        one = oriented(matrix, self.signal.two_sided)
        target, of_auxiliary = one.target[:, 0], one.auxiliary_target[:, 0]
        shadows, auxiliary_shadows = one.shadows[..., 0], one.auxiliary_shadows[..., 0]
        nowhere = np.zeros(auxiliary_shadows.shape, dtype=bool)  # no recording of these is IN for any model
        if self.online:
            ratio = log_ratio_online(target, shadows, one.members)
            of_z = log_ratio_online(of_auxiliary, auxiliary_shadows, nowhere)
        else:
            a = fit_a(one.learning_shadows[..., 0], one.learning_members, one.pairs) if self.a is None else self.a
            ratio = log_ratio_offline(target, shadows, one.members, a)
            of_z = log_ratio_offline(of_auxiliary, auxiliary_shadows, nowhere, a)
        return share_exceeded(ratio, of_z, self.gamma) + TIE_BREAK * ratio


def share_exceeded(log_ratios: np.ndarray, of_z: np.ndarray, gamma: float) -> np.ndarray:
    """Share of the recordings z with r(x) / r(z) ≥ γ.

    Args:
        log_ratios: (n,) log r(x).
        of_z: (a,) log r(z).
        gamma: γ.

    Returns:
        (n,) float64 in [0, 1].

    >>> share_exceeded(np.log([1.0, 4.0]), np.log([0.5, 1.0, 3.0]), gamma=2.0)
    array([0.33333333, 0.66666667])
    """
    return np.searchsorted(np.sort(of_z), log_ratios - np.log(gamma), side="right") / len(of_z)


def log_ratio_online(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """log p(x | θ) − log p(x), p(x) as the mean of its mean over IN and its mean over OUT shadow models.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model. The mean of a side that a unit lacks is that of the
            other.

    Returns:
        (n,) float64.
    """
    from scipy.special import expit, log_expit

    p = expit(shadows)
    inside, outside = _mean(p, members), _mean(p, ~members)
    inside, outside = np.where(np.isnan(inside), outside, inside), np.where(np.isnan(outside), inside, outside)
    return log_expit(target) - np.log(np.maximum((inside + outside) / 2, TINY))


def log_ratio_offline(target: np.ndarray, shadows: np.ndarray, members: np.ndarray, a: float) -> np.ndarray:
    """log p(x | θ) − log p(x), p(x) from the OUT shadow models alone.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each is OUT somewhere.
        a: slope of p̄_in over p̄_out, 0 to 1.

    Returns:
        (n,) float64.
    """
    from scipy.special import expit, log_expit

    return log_expit(target) - _log_offline(_mean(expit(shadows), ~members), a)


def fit_a(shadows: np.ndarray, members: np.ndarray, pairs: np.ndarray) -> float:
    """The `a` of the offline formula that tells IN from OUT best, by AUROC over the shadow models.

    Every shadow model is the target in turn, against the others without its pair: those would reveal its labels.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.
        pairs: (K,) int, the pair of each shadow model.

    Returns:
        One of 0, 0.1, …, 1: of those that do equally well the smallest. For a single pair, which leaves no other
        shadow model, the mean of 1 − p over IN shadow models divided by that over OUT ones, as the formula has it.

    Raises:
        CannotRun: no unit tells IN from OUT.
    """
    from scipy.special import expit, log_expit

    p, log_p = expit(shadows), log_expit(shadows)
    total = np.zeros(len(GRID))
    for shadow in range(len(shadows)):
        others = (pairs != pairs[shadow])[:, None] & ~members
        outside = _mean(p, others)
        seen = ~np.isnan(outside)
        labels = members[shadow, seen]
        if labels.any() and not labels.all():
            total += [_auroc(log_p[shadow, seen] - _log_offline(outside[seen], a), labels) for a in GRID]
    if total.any():
        return float(GRID[np.argmax(total)])
    both = both_sides(members)
    if not both.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn `a` from")
    inside, outside = (1 - _mean(p[:, both], chosen[:, both]).mean() for chosen in (members, ~members))
    return float(np.clip(inside / max(outside, TINY), 0, 1))


def _mean(p: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(K, n) over the chosen shadow models → (n,); NaN without any."""
    count = chosen.sum(0)
    total = np.einsum("kn,kn->n", p, chosen.astype(float))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _log_offline(outside: np.ndarray, a: float) -> np.ndarray:
    """log ½[(1 + a) p̄_out + (1 − a)]."""
    return np.log(np.maximum(((1 + a) * outside + (1 - a)) / 2, TINY))


def _auroc(scores: np.ndarray, members: np.ndarray) -> float:
    """Probability that a member scores higher than a non-member, ties counted half."""
    inside, outside = np.sort(scores[members]), np.sort(scores[~members])  # sorted needles are found faster, too
    below = [np.searchsorted(outside, inside, side=edge) for edge in ("left", "right")]
    return float((below[0] + below[1]).mean() / 2 / len(outside))


class SpeakerRMIA(RMIA):
    """RMIA with a speaker as the unit: the mean of the signals of the speaker's recordings, then the ratio.

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a speaker are read too.
        gamma: γ, by how much a speaker's ratio must exceed that of an auxiliary recording.
        a: of the offline formula, 0 to 1 (published: 0.3); by default fitted on the shadow models.
    """

    stem = "speaker_rmia"
    levels = ("speaker",)
