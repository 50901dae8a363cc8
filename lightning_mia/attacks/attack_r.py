"""Attack R: rank among OUT shadow models."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_mia.attacks.shadow_models.arrays import Array, as_given, read_arrays
from lightning_mia.attacks.shadow_models.direction import oriented
from lightning_mia.attacks.shadow_models.in_out import check_in_and_out
from lightning_mia.attacks.shadow_models.signal_attack import SignalAttack
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class AttackR(SignalAttack):
    """Rank of the target's signal among OUT shadow models.

    Score: mean_k 1[x_target ≥ x_k] over the OUT shadow models k.

    As in the paper, the score has m + 1 values with m OUT shadow models, so most units are tied; the AUROC counts ties
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
        """Compute every unit's rank among its OUT shadow models."""
        check_in_and_out(matrix.units, matrix.members, online=False)
        matrix = oriented(matrix, self.signal.two_sided)
        return attack_r(matrix.target[:, 0], matrix.shadows[..., 0], matrix.members)


def attack_r(target: Array, shadows: ArrayLike | Tensor, inside: ArrayLike | Tensor | None) -> Array:
    """Compute the rank of the target among OUT shadow models.

    mean_k 1[x_target ≥ x_k] over the shadow models k that are OUT for the unit: Attack R of Ye et al. (2022), section
    4.3. With m OUT shadow models the score has m + 1 values.

    Args:
        target: (n,) signals of the target, higher for members, such as the negative loss.
        shadows: (K, n) the same signals of the shadow models.
        inside: (K, n) bool, the shadow model was trained on the unit; each unit is OUT for some. None: OUT for all.

    Returns:
        (n,) float64 in [0, 1], of the type of `target`; higher = more likely a member.

    Raises:
        InputError: shapes or types differ from these, a number is not finite, or a unit is OUT for no shadow model.

    Example:
        >>> target = np.array([0.9, 0.2])
        >>> shadows = np.array([[0.1, 0.3], [0.4, 0.1], [0.8, 0.9]])
        >>> inside = np.array([[False, True], [False, False], [True, False]])
        >>> attack_r(target, shadows, inside)
        array([1. , 0.5])
    """
    signals = read_arrays("attack_r", target, shadows, inside, online=False)
    outside = ~signals.inside
    return as_given(((signals.target >= signals.shadows) & outside).sum(0) / outside.sum(0), target)
