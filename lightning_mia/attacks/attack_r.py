"""Attack-R: how often the target knows a unit better than models that never met it."""

import numpy as np

from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_sides
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class AttackR(SignalAttack):
    """Share of the OUT shadow models under which a unit's signal is no higher than under the target.

    The formula is kept as it was published: with m OUT shadow models the score has m + 1 values, so that most units
    share theirs, and the AUROC counts ties half. The sign of a signal whose sign is unknown, and the direction of
    several, are learned on shadow models.

    Args:
        signal: what is read of every model.
    """

    stem = "attack_r"
    levels = ("utterance", "speaker")
    reference = "Ye et al. (2022), Attack R"
    least_shadows = 2

    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Share of OUT shadow models."""
        check_sides(matrix.units, matrix.members, online=False)
        one = oriented(matrix, self.signal.two_sided)
        return attack_r(one.target[:, 0], one.shadows[..., 0], one.members)


def attack_r(target: np.ndarray, shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """mean_k 1[x_target ≥ x_k] over the OUT shadow models k.

    Args:
        target: (n,) signals under the target.
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model; each is OUT somewhere.

    Returns:
        (n,) float64 in [0, 1].
    """
    return ((target >= shadows) & ~members).sum(0) / (~members).sum(0)
