"""Midpoint: signal minus the middle of the IN and OUT centres."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, ScalarSignal
from lightning_mia.attacks.shadow_models.arrays import Array, as_given, read_arrays
from lightning_mia.attacks.shadow_models.centres import Centres, fit_centres, in_and_out_moments
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix
from lightning_mia.utilities.errors import InputError


class MidPoint(OnlineOrOffline):
    """Signal minus the middle of the unit's IN and OUT centres.

    Score, online: x − ½ (μ_in + μ_out), with the unit's means, or medians, over IN and OUT shadow models.
    Score, offline: the same, with both centres estimated from the OUT shadow models by the regression of `BaVarIA`.

    It is the log-likelihood ratio of two normal distributions with one variance and one shift for all units, and
    estimates nothing but the centres.

    A multivariate signal is first projected onto the direction that separates IN from OUT shadow models, which also
    gives a two-sided signal its sign.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.
        centre: `mean`, or `median`, which single outlying shadow models do not affect.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=16, effect=2.0)
        >>> audit.auroc(MidPoint().score(audit.evidence)), MidPoint(centre="median").name
        (0.9, 'midpoint_median')
    """

    base_name = "midpoint"
    levels = ("utterance", "speaker")
    reference = "this package; equal to LiRA (Carlini et al. 2022) with one variance and one shift"
    min_shadows_online = 2
    min_shadows_offline = 2

    def __init__(
        self, signal: ScalarSignal = DEFAULT_SIGNAL, online: bool = True, centre: Literal["mean", "median"] = "mean"
    ) -> None:
        super().__init__(signal, online)
        self.centre: Literal["mean", "median"] = centre

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`offline` unless online, `median` if chosen, and the signal."""
        offline, signal = super().suffixes
        return offline, "" if self.centre == "mean" else self.centre, signal

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the distance from the midpoint for every unit."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        matrix = oriented(matrix, self.signal.two_sided)
        centres = None
        if not self.online:
            centres = fit_centres(*in_and_out_moments(matrix.learning_shadows[..., 0], matrix.learning_members))
        target, shadows = matrix.target[:, 0], matrix.shadows[..., 0]
        return midpoint(target, shadows, matrix.members, self.online, self.centre, centres)


def midpoint(
    target: Array,
    shadows: ArrayLike | Tensor,
    inside: ArrayLike | Tensor | None,
    online: bool = True,
    centre: Literal["mean", "median"] = "mean",
    centres: Centres | None = None,
) -> Array:
    """Subtract the middle of the IN and OUT centres.

    x − ½ (μ_in + μ_out): LiRA (Carlini et al. 2022, algorithm 1) with one variance and one shift for all units.

    Args:
        target: (n,) signals of the target, higher for members, such as the negative loss.
        shadows: (K, n) the same signals of the shadow models.
        inside: (K, n) bool, the shadow model was trained on the unit. None: OUT for all, for the offline form.
        online: each unit's IN and OUT centres are averages over its shadow models. False: both are estimated from its
            OUT models, by the regression `centres`.
        centre: average over shadow models, `mean` or `median`.
        centres: distribution of OUT and IN centres; None: fitted on `shadows`. Only for the offline form.

    Returns:
        (n,) float64, of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite, or a unit is OUT (or, online, IN) for no
            shadow model.

    Example:
        >>> target = np.array([0.9, 0.2])
        >>> shadows = np.array([[0.1, 0.5], [0.5, 0.1]])
        >>> inside = np.array([[False, True], [True, False]])
        >>> midpoint(target, shadows, inside)
        array([ 0.6, -0.1])
    """
    if centre not in ("mean", "median"):
        raise InputError(f"attacks.midpoint: centre is {centre!r}; give mean or median")
    signals = read_arrays("midpoint", target, shadows, inside, online=online)
    out_centres = _centres(signals.shadows, ~signals.inside, centre)
    if online:
        in_centres = _centres(signals.shadows, signals.inside, centre)
    else:
        centres = centres or fit_centres(*in_and_out_moments(signals.shadows, signals.inside))
        out_centres, in_centres = centres.expected(out_centres, (~signals.inside).sum(0))
    return as_given(signals.target - (in_centres + out_centres) / 2, target)


def _centres(shadows: np.ndarray, chosen: np.ndarray, centre: str) -> np.ndarray:
    """Compute every unit's centre over the chosen shadow models."""
    average = np.nanmean if centre == "mean" else np.nanmedian
    return np.asarray(average(np.where(chosen, shadows, np.nan), axis=0))
