"""True positive rate at a false positive rate, with an interval.

The interval is for the population: the share of all members above the threshold that this share of all non-members is
above. Two errors add up, the share of the members found, and the threshold, which is estimated from a few high scores
of non-members; taken as known, it makes an interval for TPR at FPR 1 % cover in 49 to 97 %. The parts are

- Jeffreys' interval of the rate at the observed threshold, for the effective number of members. It is the wider, at
  either end, of two: if nearly all members are found, the few misses do not reveal how much speakers differ, but the
  ranks among the members do, and with their effective number the interval has the lower confidence of `FLOOR`;
- the TPR at the confidence limits of the threshold, which are order statistics of the non-members (Woodruff, JASA 47,
  1952), for their effective number.

Squares of distances add up (Zou and Donner, Statistics in Medicine 27, 2008), less what the two share if speakers with
high scores raise both. If the threshold is a tied score, the next one is a leap away, and the distances themselves
add up. If fewer than about four non-members are expected above the threshold, it has no upper limit,
and the interval starts at 0.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lightning_mia.evaluation.results import NO_INTERVAL, Interval
from lightning_mia.evaluation.statistics.clusters import number_speakers
from lightning_mia.evaluation.statistics.intervals import effective_sizes, floor_quantile
from lightning_mia.evaluation.statistics.rates import effective_trials, jeffreys

SHARED = 0.8  # of the correlation over speakers; few speakers overestimate it


@dataclass(frozen=True)
class OperatingPoints:
    """Members and non-members by descending score.

    Attributes:
        members: (m,) scores.
        nonmembers: (k,) scores.
        member_speaker: (m,) int, from 0 to S − 1.
        nonmember_speaker: (k,) int.
        n_speakers: S.

    Example:
        >>> values, members = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])
        >>> points = OperatingPoints.of(values, members, np.array(["a", "b", "c", "d"]))
        >>> points.tpr(0.0), points.tpr(0.5)
        (0.5, 1.0)
    """

    members: np.ndarray
    nonmembers: np.ndarray
    member_speaker: np.ndarray
    nonmember_speaker: np.ndarray
    n_speakers: int

    @staticmethod
    def of(values: np.ndarray, members: np.ndarray, speakers: np.ndarray) -> "OperatingPoints":
        """Sort members and non-members.

        Args:
            values: (n,) scores.
            members: (n,) bool.
            speakers: (n,) str, speaker of each unit.
        """
        speaker, n_speakers = number_speakers(speakers)
        order = np.argsort(-values, kind="stable")
        found, others = order[members[order]], order[~members[order]]
        return OperatingPoints(values[found], values[others], speaker[found], speaker[others], n_speakers)

    def tpr(self, fpr: float) -> float:
        """Return the highest TPR at an FPR of at most `fpr`."""
        return self._n_found(self._n_admitted(fpr)) / len(self.members)

    def tpr_interval(self, fpr: float, level: float = 0.95) -> Interval:
        """Compute the interval of the TPR at an FPR.

        `NO_INTERVAL` if members or non-members are of one speaker.

        Args:
            fpr: false positive rate, of the population.
            level: confidence level.
        """
        counts, other_counts = self._by_speaker(self.member_speaker), self._by_speaker(self.nonmember_speaker)
        if min(np.count_nonzero(counts), np.count_nonzero(other_counts)) < 2:
            return NO_INTERVAL
        n_admitted = self._n_admitted(fpr)
        n_found = self._n_found(n_admitted)
        found = self._by_speaker(self.member_speaker[:n_found])
        # The design effect of a handful of false positives is noise: a few more are counted.
        n_counted = min(len(self.nonmembers) - 1, max(5, n_admitted + 2 * int((n_admitted + 1) ** 0.5) + 1))
        admitted = self._by_speaker(self.nonmember_speaker[:n_counted])
        tpr = n_found / len(self.members)
        lower, upper = self._rate_limits(found, counts, level)
        lowest, highest = self._tpr_at_limits(fpr, effective_trials(admitted, other_counts, level), level)
        shared = -1.0 if self._tied(n_admitted) else SHARED * _correlation(found, counts, admitted, other_counts)
        down = _combine(tpr - lower, max(0.0, tpr - lowest), shared) if lowest > 0 else tpr
        up = _combine(upper - tpr, max(0.0, highest - tpr), shared)
        return (max(0.0, tpr - down), min(1.0, tpr + up))

    def _rate_limits(self, found: np.ndarray, counts: np.ndarray, level: float) -> Interval:
        """Return the limits of the rate at a known threshold.

        Args:
            found: (S,) members above the threshold, by speaker.
            counts: (S,) members, by speaker.
            level: confidence level.
        """
        from scipy.stats import norm

        tpr, trials, size = found.sum() / counts.sum(), effective_trials(found, counts, level), self._effective_members
        quantile = floor_quantile(norm.ppf(0.5 + level / 2), int(np.count_nonzero(counts)) - 1)
        limits = (
            jeffreys(tpr * trials, trials, level),
            jeffreys(tpr * size, size, 1 - 2 * float(norm.sf(quantile))),
        )
        return (min(lower for lower, _ in limits), max(upper for _, upper in limits))

    @cached_property
    def _effective_members(self) -> float:
        """Effective number of members, by their ranks."""
        values, speaker = (
            np.concatenate(groups)
            for groups in ((self.members, self.nonmembers), (self.member_speaker, self.nonmember_speaker))
        )
        return effective_sizes(values, np.arange(len(values)) < len(self.members), speaker)[0]

    def _n_admitted(self, fpr: float) -> int:
        """Count the non-members above the lowest threshold within `fpr`."""
        k = len(self.nonmembers)
        n = int(np.searchsorted(np.arange(1, k + 1) / k, fpr, side="right"))
        if n in (0, k) or self.nonmembers[n - 1] != self.nonmembers[n]:
            return n
        return int(np.searchsorted(-self.nonmembers, -self.nonmembers[n], side="left"))  # ties stay together

    def _tied(self, n_admitted: int) -> bool:
        """Test whether the threshold is a score of several non-members."""
        return bool(np.count_nonzero(self.nonmembers == self.nonmembers[min(n_admitted, len(self.nonmembers) - 1)]) > 1)

    def _n_found(self, n_admitted: int) -> int:
        """Count the members above the next non-member."""
        if n_admitted == len(self.nonmembers):
            return len(self.members)
        return int(np.searchsorted(-self.members, -self.nonmembers[n_admitted], side="left"))

    def _tpr_at_limits(self, fpr: float, trials: float, level: float) -> Interval:
        """Return the TPR at the upper and the lower limit of the threshold.

        The number of non-members above the true threshold is binomial, with `trials` effective ones.
        """
        from scipy.special import betainc

        k = len(self.nonmembers)

        def at_least(count: int) -> float:  # probability that at least `count` of the k are above the true threshold
            share = count / k * trials
            return 1.0 if count == 0 else float(betainc(share, trials - share + 1, fpr))

        counts = range(k + 1)
        tail = (1 - level) / 2
        upper = _last(counts, lambda count: at_least(count) >= 1 - tail)
        lower = _last(counts, lambda count: at_least(count) > tail) + 1
        above_upper = np.searchsorted(-self.members, -self.nonmembers[upper - 1], side="right") if upper else 0
        above_lower = np.searchsorted(-self.members, -self.nonmembers[lower - 1], side="left") if lower <= k else None
        m = len(self.members)
        return (float(above_upper / m), 1.0 if above_lower is None else float(above_lower / m))

    def _by_speaker(self, speaker: np.ndarray) -> np.ndarray:
        return np.bincount(speaker, minlength=self.n_speakers)


def _last(counts: range, holds: Callable[[int], bool]) -> int:
    """Return the last count up to which a condition holds."""
    return bisect_left(counts, True, key=lambda count: not holds(count)) - 1


def _correlation(hits: np.ndarray, counts: np.ndarray, other_hits: np.ndarray, other_counts: np.ndarray) -> float:
    """Correlate two rates over speakers, by their linearised residuals (S,)."""
    residuals = hits - hits.sum() / counts.sum() * counts
    others = other_hits - other_hits.sum() / other_counts.sum() * other_counts
    scale = np.sqrt(np.sum(residuals**2) * np.sum(others**2))
    return float(residuals @ others / scale) if scale > 0 else 0.0


def _combine(first: float, second: float, correlation: float) -> float:
    return float(np.sqrt(first**2 + second**2 - 2 * correlation * first * second))
