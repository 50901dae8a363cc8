"""The two sides of every unit: the shadow models that are IN for it, and those that are OUT."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.cannot_run import CannotRun
from lightning_mia.errors import list_first


@dataclass(frozen=True)
class Side:
    """What the shadow models of one side say of every unit.

    Attributes:
        count: (n,) int, shadow models.
        mean: (n, d), the unit's centre; NaN without a shadow model.
        squares: (n, d), sum of the squared residuals from that centre.
        scatter: (d, d), sum of the products of residuals, over all units.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    scatter: np.ndarray

    @property
    def freedom(self) -> int:
        """Degrees of freedom of all residuals: of a unit's shadow models, one goes into its centre."""
        return int(np.maximum(self.count - 1, 0).sum())


def side(shadows: np.ndarray, chosen: np.ndarray) -> Side:
    """Centre and residuals of every unit over some of the shadow models.

    Args:
        shadows: (K, n, d) float64.
        chosen: (K, n) bool: the shadow model counts for the unit.

    >>> one = side(np.array([[[1.0]], [[3.0]], [[9.0]]]), np.array([[True], [True], [False]]))
    >>> one.count.item(), one.mean.item(), one.squares.item(), one.freedom
    (2, 2.0, 2.0, 1)
    """
    count = chosen.sum(0)
    total = np.einsum("knd,kn->nd", shadows, chosen.astype(shadows.dtype))
    mean = np.full_like(total, np.nan)
    np.divide(total, count[:, None], out=mean, where=count[:, None] > 0)
    residuals = np.where(chosen[..., None], shadows - mean, 0.0)
    flat = residuals.reshape(-1, residuals.shape[-1])
    return Side(count, mean, np.einsum("knd,knd->nd", residuals, residuals), flat.T @ flat)


def both_sides(members: np.ndarray) -> np.ndarray:
    """(K, n) bool → (n,) bool: units that are IN for one shadow model and OUT for another."""
    inside = members.sum(axis=0)
    return (inside > 0) & (inside < len(members))


def check_sides(units: pd.Index, members: np.ndarray, online: bool) -> None:
    """Refuse a fleet in which a unit lacks a side.

    Args:
        units: (n,) names.
        members: (K, n) bool.
        online: whether shadow models that are IN are needed too.

    Raises:
        CannotRun: a unit has no shadow model that is OUT, or, if `online`, none that is IN.
    """
    if online and not members.any():
        raise CannotRun("it needs shadow models that are IN for the challenge units")
    inside = members.sum(axis=0)
    counts = {"OUT": len(members) - inside, "IN": inside}
    for name in ("OUT", "IN") if online else ("OUT",):
        lacks = counts[name] == 0
        if lacks.any():
            raise CannotRun(
                f"it needs for every unit a shadow model that is {name}, and {int(lacks.sum())} of "
                f"{len(units)} units have none: {list_first([str(unit) for unit in units[lacks]])}"
            )
