"""How far the shadow models of one side lie from a unit's centre, estimated over all units at once."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun
from lightning_mia.utilities.errors import list_first


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


MIN_VARIANCE = 1e-12  # of a signal whose interquartile range is 1
MAX_SHAPE = 1e4  # of an inverse gamma: variances that differ by 1 % from unit to unit, as good as not at all


def pooled_covariance(*sides: Side) -> np.ndarray:
    """(d, d) covariance of the residuals, over all units of one side, or of both.

    The residuals are from each unit's own centre, not the raw signals: those differ from unit to unit by far more.

    Raises:
        CannotRun: no unit has two shadow models on a side.
    """
    freedom = sum(one.freedom for one in sides)
    if freedom == 0:
        raise CannotRun("it needs units with two shadow models on the same side, to see how far these differ")
    return shrunk(np.sum([one.scatter for one in sides], axis=0) / freedom, freedom)


def shrunk(covariance: np.ndarray, freedom: int) -> np.ndarray:
    """A covariance that can be inverted: as if d more residuals had shown the same variances and no correlation.

    Args:
        covariance: (d, d).
        freedom: degrees of freedom that it was estimated with.

    >>> shrunk(np.array([[1.0, 1.0], [1.0, 1.0]]), freedom=6)
    array([[1.  , 0.75],
           [0.75, 1.  ]])
    """
    variances = np.maximum(np.diag(covariance), MIN_VARIANCE)
    weight = len(covariance) / (len(covariance) + freedom)
    return (1 - weight) * (covariance - np.diag(np.diag(covariance))) + np.diag(variances)


def variance_ratio(inside: Side, outside: Side) -> float:
    """Variance of the IN residuals of a single signal over that of the OUT residuals, over all units.

    Its logarithm is shrunk towards 0 by its sampling variance (2 / degrees of freedom a side): with few residuals,
    a ratio that is not known counts as 1.
    """
    if not (inside.freedom and outside.freedom):
        return 1.0
    variances = [max(one.scatter[0, 0] / one.freedom, MIN_VARIANCE) for one in (inside, outside)]
    log_ratio = np.log(variances[0] / variances[1])
    noise = 2 / inside.freedom + 2 / outside.freedom
    return float(np.exp(log_ratio * max(0.0, 1 - noise / max(log_ratio**2, MIN_VARIANCE))))


def variance_prior(squares: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """Shape α and scale β of the inverse gamma that the variances of units follow.

    Moments of the logarithm of the sample variances, after Smyth (2004, section 6.2), which far units do not upset:
    log s² has the variance ψ′(f/2) by sampling, and ψ′(α) by the spread of the variances.

    Args:
        squares: (n,) sum of the squared residuals of every unit.
        freedom: (n,) int, its degrees of freedom f; units without any do not count.
    """
    from scipy.special import digamma, polygamma

    seen = freedom > 0
    half = freedom[seen] / 2
    variances = np.maximum(squares[seen] / freedom[seen], MIN_VARIANCE)
    logs = np.log(variances) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean() if len(logs) > 1 else 0.0
    if excess <= polygamma(1, MAX_SHAPE):
        return MAX_SHAPE, MAX_SHAPE * max(float(squares.sum() / freedom.sum()), MIN_VARIANCE)
    shape = _inverse_trigamma(excess)
    return shape, shape * float(np.exp(logs.mean() + digamma(shape) - np.log(shape)))


def _inverse_trigamma(value: float) -> float:
    """The x with ψ′(x) = value, by bisection of its logarithm."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(np.exp(brentq(lambda log: polygamma(1, np.exp(log)) - value, -20.0, np.log(MAX_SHAPE))))
