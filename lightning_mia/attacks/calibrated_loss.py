"""Difficulty calibration: how much better the target knows a unit than models that never met it."""

import numpy as np

from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_sides, side
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class CalibratedLoss(SignalAttack):
    """The signal under the target, less its mean over the shadow models that are OUT for the unit.

    Those that are IN are not read, as in the paper, whose reference models are trained on other data. The sign of a
    signal whose sign is unknown, and the direction of several, are learned on shadow models.

    Args:
        signal: what is read of every model.
    """

    stem = "calibrated_loss"
    levels = ("utterance", "speaker")
    reference = "Watson et al. (2022), calibrated membership score"
    least_shadows = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Difference from the OUT mean."""
        check_sides(matrix.units, matrix.members, online=False)
        one = oriented(matrix, self.signal.two_sided)
        return (one.target - side(one.shadows, ~one.members).mean)[:, 0]
