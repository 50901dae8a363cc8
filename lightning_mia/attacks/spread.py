"""How far the shadow models of one side lie from a unit's centre, estimated over all units at once."""

import numpy as np

from lightning_mia.attacks.cannot_run import CannotRun
from lightning_mia.attacks.sides import Side

SMALLEST_VARIANCE = 1e-12  # of a signal whose interquartile range is 1
LARGEST_SHAPE = 1e4  # of an inverse gamma: variances that differ by 1 % from unit to unit, as good as not at all


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
    variances = np.maximum(np.diag(covariance), SMALLEST_VARIANCE)
    weight = len(covariance) / (len(covariance) + freedom)
    return (1 - weight) * (covariance - np.diag(np.diag(covariance))) + np.diag(variances)


def variance_ratio(inside: Side, outside: Side) -> float:
    """Variance of the IN residuals of a single signal over that of the OUT residuals, over all units.

    Its logarithm is shrunk towards 0 by its sampling variance (2 / degrees of freedom a side): with few residuals,
    a ratio that is not known counts as 1.
    """
    if not (inside.freedom and outside.freedom):
        return 1.0
    variances = [max(one.scatter[0, 0] / one.freedom, SMALLEST_VARIANCE) for one in (inside, outside)]
    log_ratio = np.log(variances[0] / variances[1])
    noise = 2 / inside.freedom + 2 / outside.freedom
    return float(np.exp(log_ratio * max(0.0, 1 - noise / max(log_ratio**2, SMALLEST_VARIANCE))))


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
    variances = np.maximum(squares[seen] / freedom[seen], SMALLEST_VARIANCE)
    logs = np.log(variances) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean() if len(logs) > 1 else 0.0
    if excess <= polygamma(1, LARGEST_SHAPE):
        return LARGEST_SHAPE, LARGEST_SHAPE * max(float(squares.sum() / freedom.sum()), SMALLEST_VARIANCE)
    shape = _inverse_trigamma(excess)
    return shape, shape * float(np.exp(logs.mean() + digamma(shape) - np.log(shape)))


def _inverse_trigamma(value: float) -> float:
    """The x with ψ′(x) = value, by bisection of its logarithm."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    return float(np.exp(brentq(lambda log: polygamma(1, np.exp(log)) - value, -20.0, np.log(LARGEST_SHAPE))))
