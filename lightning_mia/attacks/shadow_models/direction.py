"""Which way a signal moves with membership, learned on shadow models."""

from dataclasses import replace

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.in_out import both_sides, shrunk, side
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


def oriented(matrix: SignalMatrix, two_sided: bool) -> SignalMatrix:
    """The same with a single number that is higher for members: several are projected on one.

    Args:
        matrix: d numbers a unit.
        two_sided: whether the sign is unknown beforehand; it is learned then.

    Raises:
        CannotRun: no unit tells IN from OUT.
    """
    if matrix.target.shape[1] == 1 and not two_sided:
        return matrix
    direction = membership_direction(matrix.learning_shadows, matrix.learning_members)[:, None]
    return replace(
        matrix,
        target=matrix.target @ direction,
        shadows=matrix.shadows @ direction,
        auxiliary_target=matrix.auxiliary_target @ direction,
        auxiliary_shadows=matrix.auxiliary_shadows @ direction,
        learning_shadows=matrix.learning_shadows @ direction,
    )


def membership_direction(shadows: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Fisher's linear discriminant between IN and OUT, every unit against itself.

    The mean over units of (mean of its IN − mean of its OUT), divided by the covariance of the residuals from
    those means. For one signal it is a sign. The labels are the shadow models' own, and the target's answers do
    not enter. Nothing is selected by how well a shadow model is told apart from the others, so that no pair has to
    be left out.

    Args:
        shadows: (K, n, d) float64.
        members: (K, n) bool; units that are IN everywhere or OUT everywhere say nothing.

    Returns:
        (d,) such that a projection on it has unit variance about a unit's centre (for d = 1 it is +1 or −1).

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.

    >>> shadows = np.array([[[1.0], [2.0]], [[3.0], [0.0]]])
    >>> membership_direction(shadows, members=np.array([[True, False], [False, True]]))
    array([-1.])
    """
    both = both_sides(members)
    if not both.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn the sign from")
    shadows, members = shadows[:, both], members[:, both]
    inside, outside = side(shadows, members), side(shadows, ~members)
    differences = inside.mean - outside.mean  # (units, d)
    shift = differences.mean(0)
    if len(shift) == 1:
        return np.where(shift < 0, -1.0, 1.0)
    freedom = inside.freedom + outside.freedom
    if freedom:
        covariance = shrunk((inside.scatter + outside.scatter) / freedom, freedom)
    else:  # one shadow model a side: how the differences vary from unit to unit
        deviations = differences - shift
        covariance = shrunk(deviations.T @ deviations / 2 / max(len(differences) - 1, 1), len(differences) - 1)
    direction = np.linalg.solve(covariance, shift)
    return direction / np.sqrt(max(direction @ covariance @ direction, np.finfo(float).tiny))
