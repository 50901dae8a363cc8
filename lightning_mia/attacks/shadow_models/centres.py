"""Joint distribution of the units' OUT and IN centres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightning_mia.attacks.base import CannotRun
from lightning_mia.attacks.shadow_models.in_out import (
    MIN_VARIANCE,
    Moments,
    in_and_out,
    moments,
    positive_part,
    variance_ratio,
)

LIMIT = 2.0  # standard deviations
NORMAL_IQR = 1.349  # of a standard deviation of 1


@dataclass(frozen=True)
class Centres:
    """Distribution of the units' centres, seen through noise.

    A unit's signal is N(c, σ²) under OUT models and N(d, ρσ²) under IN models. Over units c ~ N(out_mean, spread), and
    d has the mean in_mean + slope · (c − out_mean).

    Attributes:
        out_mean: mean of the OUT centres c.
        in_mean: mean of the IN centres d.
        spread: variance of c between units; infinity: nothing is known about c in advance.
        slope: of d over c. 1: membership shifts all units alike; 0: all members end up alike.
        noise: σ², mean over units.
        in_spread: variance of d around the line.
        ratio: ρ, variance of IN signals divided by that of OUT signals of the same unit.
    """

    out_mean: float
    in_mean: float
    spread: float
    slope: float
    noise: float
    in_spread: float
    ratio: float

    def expected(self, outside: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Estimate a unit's OUT and IN centres from its OUT models.

        Args:
            outside: (n,) mean signal under OUT models.
            count: (n,) int, number of OUT models.

        Returns:
            (n,) OUT and (n,) IN centres.

        >>> centres = Centres(0.0, 1.0, spread=3.0, slope=0.5, noise=1.0, in_spread=0.0, ratio=1.0)
        >>> centres.expected(np.array([4.0]), np.array([1]))
        (array([3.]), array([2.5]))
        """
        reliability = self.spread / (self.spread + self.noise / count)
        deviation = reliability * (outside - self.out_mean)
        return self.out_mean + deviation, self.in_mean + self.slope * deviation


def in_and_out_moments(shadows: np.ndarray, members: np.ndarray) -> tuple[Moments, Moments]:
    """Compute moments of the units with IN and OUT models.

    Args:
        shadows: (K, n) signals under the shadow models.
        members: (K, n) bool, the unit is IN for the shadow model.

    Raises:
        CannotRun: no unit is IN for one shadow model and OUT for another.
    """
    usable = in_and_out(members)
    if not usable.any():
        raise CannotRun("it needs units that are IN for one shadow model and OUT for another, to learn from")
    inside, outside = (moments(shadows[:, usable, None], chosen[:, usable]) for chosen in (members, ~members))
    return inside, outside


def fit_centres(inside: Moments, outside: Moments) -> Centres:
    """Estimate the distribution of centres from means.

    The variance of the OUT means minus that of their noise is the spread. The covariance of OUT and IN means, which
    have independent noise, divided by the spread is the slope: not attenuated by noise. The slope is moved towards 1
    according to its sampling variance (White 1980).

    A single pair of shadow models leaves no residuals to estimate the noise from. The smaller eigenvalue of the
    covariance of OUT and IN means is then the noise, as in orthogonal regression: all variance around the line. Units
    that membership shifts much further than the others would turn the line; their differences are limited first.

    Args:
        inside: moments over IN models; each unit has one or more.
        outside: moments over OUT models, likewise.
    """
    out_means, in_means = outside.mean[:, 0], inside.mean[:, 0]
    is_pair = inside.freedom + outside.freedom == 0
    if is_pair:
        in_means = out_means + _limited(in_means - out_means)
    out_mean, in_mean = float(out_means.mean()), float(in_means.mean())
    y, z = out_means - out_mean, in_means - in_mean
    freedom = max(len(y) - 1, 1)
    covariance = np.array([[y @ y, y @ z], [y @ z, z @ z]]) / freedom
    ratio = variance_ratio(inside, outside)
    if is_pair:
        noise = np.linalg.eigvalsh(covariance)[0]
    else:
        noise = (inside.scatter[0, 0] / ratio + outside.scatter[0, 0]) / (inside.freedom + outside.freedom)
    noise = max(float(noise), MIN_VARIANCE)
    spread = max(float(covariance[0, 0] - noise * (1 / outside.count).mean()), 0.0)
    slope = 1.0
    if spread > 0:
        slope = float(covariance[0, 1] / spread)
        sampling = float((y**2 * (z - slope * y) ** 2).mean() / spread**2 / len(y))
        slope = 1 + (slope - 1) * positive_part(slope - 1, sampling)
    around = float(((z - slope * y) ** 2).sum() / freedom)
    expected = noise * float((ratio / inside.count + slope**2 / outside.count).mean())
    return Centres(out_mean, in_mean, spread, slope, noise, max(around - expected, 0.0), ratio)


def _limited(values: np.ndarray) -> np.ndarray:
    """Limit outlying values to the median ± LIMIT · standard deviation.

    The standard deviation is that of a normal distribution with the values' interquartile range.
    """
    low, centre, high = np.percentile(values, [25, 50, 75])
    reach = LIMIT * (high - low) / NORMAL_IQR
    return np.clip(values, centre - reach, centre + reach)
