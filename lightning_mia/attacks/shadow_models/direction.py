"""Direction of the membership effect, learned on shadow models."""

from dataclasses import replace

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.in_out import in_and_out, moments, shrunk
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


def oriented(matrix: SignalMatrix, two_sided: bool) -> SignalMatrix:
    """Reduce a signal to one number, higher for members.

    Args:
        matrix: d numbers per unit.
        two_sided: whether the sign is unknown a priori and must be learned.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
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
    """Compute Fisher's linear discriminant between IN and OUT, within units.

    Mean over units of (IN mean − OUT mean), multiplied by the inverse covariance of the residuals from these means.
    For a single number it is a sign. Labels are those of the shadow models; the target's signals are not used. No
    pair needs to be left out, since nothing is selected by its performance on a shadow model.

    Args:
        shadows: (K, n, d) float64.
        members: (K, n) bool; units that are IN for all or OUT for all are ignored.

    Returns:
        (d,), scaled so that the projection has unit variance around a unit's mean (for d = 1 it is +1 or −1).

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.

    >>> shadows = np.array([[[1.0], [2.0]], [[3.0], [0.0]]])
    >>> membership_direction(shadows, members=np.array([[True, False], [False, True]]))
    array([-1.])
    """
    usable = in_and_out(members)
    if not usable.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn the sign from")
    shadows, members = shadows[:, usable], members[:, usable]
    inside, outside = moments(shadows, members), moments(shadows, ~members)
    differences = inside.mean - outside.mean  # (units, d)
    shift = differences.mean(0)
    if len(shift) == 1:
        return np.where(shift < 0, -1.0, 1.0)
    freedom = inside.freedom + outside.freedom
    if freedom:
        covariance = shrunk((inside.scatter + outside.scatter) / freedom, freedom)
    else:  # with a single pair, use the variation of the differences between units
        deviations = differences - shift
        covariance = shrunk(deviations.T @ deviations / 2 / max(len(differences) - 1, 1), len(differences) - 1)
    direction = np.linalg.solve(covariance, shift)
    return direction / np.sqrt(max(direction @ covariance @ direction, np.finfo(float).tiny))
