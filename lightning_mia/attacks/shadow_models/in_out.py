"""Per-unit moments over IN and OUT shadow models."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun
from lightning_mia.utilities.errors import list_first

MIN_VARIANCE = 1e-12  # of a signal whose interquartile range is 1
MAX_SHAPE = 1e4  # of an inverse gamma: variances differ by about 1 % between units, practically not at all


@dataclass(frozen=True)
class Moments:
    """Moments of every unit over its IN or OUT models.

    Attributes:
        count: (n,) int, number of shadow models.
        mean: (n, d); NaN if the count is 0.
        squares: (n, d), sum of squared residuals from the unit's mean.
        scatter: (d, d), sum of the residuals' outer products over all units.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    scatter: np.ndarray

    @property
    def freedom(self) -> int:
        """Total degrees of freedom; each unit's mean takes one."""
        return int(np.maximum(self.count - 1, 0).sum())


def moments(shadows: np.ndarray, chosen: np.ndarray) -> Moments:
    """Compute every unit's moments over the chosen shadow models.

    Args:
        shadows: (K, n, d) float64.
        chosen: (K, n) bool: the shadow model counts for the unit.

    >>> result = moments(np.array([[[1.0]], [[3.0]], [[9.0]]]), np.array([[True], [True], [False]]))
    >>> result.count.item(), result.mean.item(), result.squares.item(), result.freedom
    (2, 2.0, 2.0, 1)
    """
    count = chosen.sum(0)
    total = np.einsum("knd,kn->nd", shadows, chosen.astype(shadows.dtype))
    mean = np.full_like(total, np.nan)
    np.divide(total, count[:, None], out=mean, where=count[:, None] > 0)
    residuals = np.where(chosen[..., None], shadows - mean, 0.0)
    flat = residuals.reshape(-1, residuals.shape[-1])
    return Moments(count, mean, np.einsum("knd,knd->nd", residuals, residuals), flat.T @ flat)


def in_and_out(members: np.ndarray) -> np.ndarray:
    """Find units with IN and OUT shadow models.

    (K, n) bool → (n,) bool.
    """
    n_inside = members.sum(axis=0)
    return (n_inside > 0) & (n_inside < len(members))


def check_in_and_out(units: pd.Index, members: np.ndarray, online: bool) -> None:
    """Check that every unit has OUT (and IN) shadow models.

    Args:
        units: (n,) names.
        members: (K, n) bool.
        online: whether IN shadow models are required.

    Raises:
        CannotRun: a unit has none.
    """
    if online and not members.any():
        raise CannotRun("it needs shadow models that are IN for the challenge units")
    n_inside = members.sum(axis=0)
    counts = {"OUT": len(members) - n_inside, "IN": n_inside}
    for name in ("OUT", "IN") if online else ("OUT",):
        has_none = counts[name] == 0
        if has_none.any():
            raise CannotRun(
                f"it needs for every unit a shadow model that is {name}, and {int(has_none.sum())} of "
                f"{len(units)} units have none: {list_first([str(unit) for unit in units[has_none]])}"
            )


def pooled_covariance(*groups: Moments) -> np.ndarray:
    """Estimate the covariance of residuals over all units, (d, d).

    Residuals are taken from each unit's own mean: raw signals differ far more between units.

    Raises:
        CannotRun: no unit has two shadow models in one group.
    """
    freedom = sum(group.freedom for group in groups)
    if freedom == 0:
        raise CannotRun("it needs units that are IN, or OUT, for two shadow models, to estimate their variance")
    return shrunk(np.sum([group.scatter for group in groups], axis=0) / freedom, freedom)


def shrunk(covariance: np.ndarray, freedom: int) -> np.ndarray:
    """Shrink correlations towards 0 to make a covariance invertible.

    Equals the estimate with d additional residuals of the same variances and no correlation.

    Args:
        covariance: (d, d).
        freedom: degrees of freedom of the estimate.

    >>> shrunk(np.array([[1.0, 1.0], [1.0, 1.0]]), freedom=6)
    array([[1.  , 0.75],
           [0.75, 1.  ]])
    """
    variances = np.maximum(np.diag(covariance), MIN_VARIANCE)
    weight = len(covariance) / (len(covariance) + freedom)
    return (1 - weight) * (covariance - np.diag(np.diag(covariance))) + np.diag(variances)


def variance_ratio(inside: Moments, outside: Moments) -> float:
    """Estimate the ratio of IN to OUT residual variance.

    The logarithm is shrunk towards 0 according to its sampling variance (2 / degrees of freedom, summed over IN and
    OUT), so that few residuals give a ratio near 1.
    """
    if not (inside.freedom and outside.freedom):
        return 1.0
    variances = [max(group.scatter[0, 0] / group.freedom, MIN_VARIANCE) for group in (inside, outside)]
    log_ratio = np.log(variances[0] / variances[1])
    return float(np.exp(log_ratio * positive_part(log_ratio, 2 / inside.freedom + 2 / outside.freedom)))


def positive_part(estimate: float, sampling: float) -> float:
    """Compute the weight of an estimate that may be noise.

    1 − sampling variance / estimate², at least 0 (James and Stein).

    >>> positive_part(2.0, sampling=1.0), positive_part(0.5, sampling=1.0)
    (0.75, 0.0)
    """
    return max(0.0, 1 - sampling / max(estimate**2, MIN_VARIANCE))


def variance_prior(squares: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """Fit an inverse gamma distribution to the units' variances.

    Matches the moments of the log sample variances (Smyth 2004, section 6.2), which are robust to outlying units:
    log s² has variance ψ′(f/2) from sampling and ψ′(α) from the spread of the variances.

    Args:
        squares: (n,) sum of squared residuals of each unit.
        freedom: (n,) int, degrees of freedom f of each unit; units with 0 are ignored.

    Returns:
        Shape α and scale β.
    """
    from scipy.special import digamma, polygamma

    usable = freedom > 0
    half = freedom[usable] / 2
    variances = np.maximum(squares[usable] / freedom[usable], MIN_VARIANCE)
    logs = np.log(variances) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean() if len(logs) > 1 else 0.0
    if excess <= polygamma(1, MAX_SHAPE):
        return MAX_SHAPE, MAX_SHAPE * max(float(squares.sum() / freedom.sum()), MIN_VARIANCE)
    shape = _inverse_trigamma(excess)
    return shape, shape * float(np.exp(logs.mean() + digamma(shape) - np.log(shape)))


def _inverse_trigamma(value: float) -> float:
    """Solve ψ′(x) = value by Brent's method over log x."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(np.exp(brentq(lambda log: polygamma(1, np.exp(log)) - value, -20.0, np.log(MAX_SHAPE))))
