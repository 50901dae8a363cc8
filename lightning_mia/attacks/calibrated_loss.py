"""Calibrated loss: signal minus its OUT mean."""

import numpy as np

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
        return (matrix.target - moments(matrix.shadows, ~matrix.members).mean)[:, 0]
