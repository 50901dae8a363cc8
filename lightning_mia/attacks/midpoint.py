"""Midpoint: signal minus the middle of the IN and OUT centres."""

from typing import Literal

import numpy as np

from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, ScalarSignal
from lightning_mia.attacks.shadow_models.centres import fit_centres, in_and_out_moments
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.attacks.shadow_models.signal_attack import OnlineOrOffline
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


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
        self.centre = centre

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`offline` unless online, `median` if chosen, and the signal."""
        offline, signal = super().suffixes
        return offline, "" if self.centre == "mean" else self.centre, signal

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the distance from the midpoint for every unit."""
        check_in_and_out(matrix.units, matrix.members, self.online)
        matrix = oriented(matrix, self.signal.two_sided)
        out_centres = self._centres(matrix.shadows[..., 0], ~matrix.members)
        if self.online:
            in_centres = self._centres(matrix.shadows[..., 0], matrix.members)
        else:
            fit = fit_centres(*in_and_out_moments(matrix.learning_shadows[..., 0], matrix.learning_members))
            out_centres, in_centres = fit.expected(out_centres, (~matrix.members).sum(0))
        return matrix.target[:, 0] - (in_centres + out_centres) / 2

    def _centres(self, shadows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Compute every unit's centre over the chosen shadow models."""
        average = np.nanmean if self.centre == "mean" else np.nanmedian
        return np.asarray(average(np.where(chosen, shadows, np.nan), axis=0))
