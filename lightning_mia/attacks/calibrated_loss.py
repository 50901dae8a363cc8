"""Calibrated loss: signal minus its OUT mean."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.shadow_models.arrays import Array, as_given, read_arrays
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out, moments
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class CalibratedLoss(SignalAttack):
    """Difficulty-calibrated signal.

    Score: x − μ_out, with the mean μ_out over the shadow models that are OUT for the unit.

    IN shadow models are not used, as in the paper, whose reference models are trained on other data. The sign of a
    two-sided signal and the direction of a multivariate signal are learned from shadow models.

    Args:
        signal: signal to compare.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(effect=2.0, spread=5.0)  # difficulty hides the effect
        >>> raw = audit.evidence.target.pretext_score()
        >>> audit.auroc(raw), audit.auroc(CalibratedLoss().score(audit.evidence))
        (0.6, 0.85)
    """

    base_name = "calibrated_loss"
    levels = ("utterance", "speaker")
    reference = "Watson et al. (2022), calibrated membership score"
    min_shadows = 1

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the difference from the OUT mean for every unit."""
        check_in_and_out(matrix.units, matrix.members, online=False)
        matrix = oriented(matrix, self.signal.two_sided)
        return calibrated_loss(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members)


def calibrated_loss(target: Array, shadows: ArrayLike | Tensor, inside: ArrayLike | Tensor | None) -> Array:
    """Subtract the mean over OUT shadow models.

    x − μ_out, the calibrated membership score of Watson et al. (2022), equation 3.

    Args:
        target: (n,) signals of the target, higher for members, such as the negative loss.
        shadows: (K, n) the same signals of the shadow models.
        inside: (K, n) bool, the shadow model was trained on the unit; each unit is OUT for some. None: OUT for all.

    Returns:
        (n,) float64, of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite, or a unit is OUT for no shadow model.

    Example:
        >>> target = np.array([0.9, 0.2])
        >>> shadows = np.array([[0.1, 0.3], [0.3, 0.1], [0.8, 0.9]])
        >>> inside = np.array([[False, True], [False, False], [True, False]])
        >>> calibrated_loss(target, shadows, inside)
        array([ 0.7, -0.3])
    """
    signals = read_arrays("calibrated_loss", target, shadows, inside, online=False, min_shadows=1)
    return as_given(signals.target - moments(signals.shadows[..., None], ~signals.inside).mean[:, 0], target)
