"""Attack R: rank among OUT shadow models."""

import numpy as np

from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class AttackR(SignalAttack):
    """Rank of the target's signal among OUT shadow models.

    Score: mean_k 1[x_target ≥ x_k] over the OUT shadow models k.

    As published: with m OUT shadow models the score has m + 1 values, so most units are tied; the AUROC counts ties
    half. The sign of a two-sided signal and the direction of a multivariate signal are learned from shadow models.

    Args:
        signal: signal to compare.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_shadows=4, effect=2.0)
        >>> sorted(set(AttackR().score(audit.evidence).tolist()))
        [0.0, 0.5, 1.0]
    """

    base_name = "attack_r"
    levels = ("utterance", "speaker")
    reference = "Ye et al. (2022), Attack R"
    min_shadows = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Compute the share of OUT shadow models for every unit."""
        check_in_and_out(matrix.units, matrix.members, online=False)
        matrix = oriented(matrix, self.signal.two_sided)
        return attack_r(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members)


def attack_r(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Compute mean_k 1[x_target ≥ x_k] over the OUT shadow models k.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each unit is OUT for some.

    Returns:
        (n,) float64 in [0, 1].
    """
    return ((target >= shadows) & ~members).sum(0) / (~members).sum(0)
