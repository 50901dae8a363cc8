"""Confidence intervals of an AUROC.

P-values come from redrawing the split instead. If speakers have several units, the interval is the wider, at either
end, of two:

- Student's t times the standard error of the cluster bootstrap, with the speakers' degrees of freedom, both on the
  logit scale (an AUROC near 1 varies less upwards than downwards).
- Newcombe's interval for effective sample sizes. Its standard error is that of each candidate AUROC and not an
  estimate. If six speakers leak unequally, those who do not are often absent: the AUROC is near 1, hardly varies, and
  the bootstrap finds a spread that is far too small. The ranks *among* the members still reveal how much these speakers
  differ, and thereby the effective sizes. This part alone has a lower confidence (`FLOOR`): it only prevents intervals
  that are too narrow.

If each speaker has one unit, it is Newcombe's interval for the units; if the AUROC is 0 or 1 or does not vary in the
bootstrap (constant scores), Newcombe's for effective sizes at full confidence. With fewer than five speakers who have
both members and non-members, or six who have only one of them, there is none: `NO_INTERVAL`. `tools/coverage.py`
measures the coverage.
"""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import NO_INTERVAL, Interval
from lightning_mia.evaluation.statistics.auroc import auroc as compute_auroc
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers

NORMAL_QUANTILE = 1.959964  # of 95 %, two-sided
MIN_SPEAKERS = 3
"""Minimum number of speakers with members, and of speakers with non-members, for an interval."""

MIN_PAIRED_SPEAKERS = 5
"""Minimum number of speakers for an interval if some have both; otherwise it is twice `MIN_SPEAKERS`."""

ROUNDING = 1e-9  # of a standard error that is 0
MAX_GAIN = 0.05  # least variance, relative to independent units, if the effects of speakers cancel
FLOOR = 0.84
"""Least share of the normal quantile at which Newcombe's interval limits the bootstrap's: the 90 % interval at 95 %.

With less, speakers who leak unequally are not covered; with more, others are covered too often.
"""

FLOOR_DEFICIT = 0.5
"""With many speakers, the share rises to 1 − `FLOOR_DEFICIT` / √(degrees of freedom): 20 have .89, and 60 have .93."""


def auroc_with_interval(
    values: np.ndarray, members: np.ndarray, speakers: np.ndarray, n_bootstraps: int, seed: int
) -> tuple[float, Interval]:
    """Compute an AUROC and its 95 % interval over speakers.

    Args:
        values: (n,) scores.
        members: (n,) bool.
        speakers: (n,) str, speaker of each unit.
        n_bootstraps: number of draws of speakers.
        seed: of the draws.
    """
    draws = draw_speakers(speakers, members, n_bootstraps, seed)
    observed = compute_auroc(values, members)
    return observed, auroc_interval(observed, bootstrap_auroc(values, members, draws), values, members, draws)


def auroc_interval(
    auroc: float,
    replicates: np.ndarray,
    values: np.ndarray,
    members: np.ndarray,
    draws: SpeakerDraws,
    level: float = 0.95,
) -> Interval:
    """Compute the two-sided interval of an AUROC.

    Args:
        auroc: of the n units.
        replicates: (B,) AUROC of each draw of speakers.
        values: (n,) scores.
        members: (n,) bool.
        draws: of the replicates.
        level: confidence level.

    Returns:
        (lower, upper) within [0, 1]; `NO_INTERVAL` with too few speakers.
    """
    error = auroc_error(auroc, replicates, values, members, draws)
    return error.bounds(t_quantile(0.5 + level / 2, draws.degrees_of_freedom))


def auroc_error(
    auroc: float, replicates: np.ndarray, values: np.ndarray, members: np.ndarray, draws: SpeakerDraws
) -> "AurocError":
    """Estimate the sampling error of an AUROC.

    The arguments are those of `auroc_interval`.
    """
    if not enough_speakers(members, draws):
        return AurocError(auroc, float("nan"), (1.0, 1.0), 0)
    n_members = int(members.sum())
    sizes = float(n_members), float(len(members) - n_members)
    if draws.one_unit_per_speaker:
        return AurocError(auroc, 0.0, sizes, draws.degrees_of_freedom, independent=True)
    spread = standard_error(replicates)
    if auroc in (0.0, 1.0) or spread < ROUNDING:
        sizes = _separate_sizes(values, members, draws.speaker)
        return AurocError(auroc, 0.0, sizes, draws.degrees_of_freedom)
    # Near 1, the delta method's spread is too small and that of the logits too large: their mean covers.
    margin = 0.5 / len(members)  # of replicates at 0 and 1, whose logit is infinite
    spread = (spread / (auroc * (1 - auroc)) + standard_error(_logit(np.clip(replicates, margin, 1 - margin)))) / 2
    return AurocError(auroc, spread, effective_sizes(values, members, draws.speaker), draws.degrees_of_freedom)


@dataclass(frozen=True)
class AurocError:
    """Sampling error of an AUROC.

    Attributes:
        auroc: observed AUROC.
        logit_spread: standard error of its logit, by the cluster bootstrap; 0 if that cannot estimate it, NaN with
            too few speakers.
        sizes: effective numbers of members and non-members.
        degrees_of_freedom: of Student's t.
        independent: whether each speaker has one unit.

    Example:
        >>> error = AurocError(0.8, 0.4, (40.0, 40.0), degrees_of_freedom=9)
        >>> [round(bound, 2) for bound in error.bounds(t_quantile(0.975, 9))]
        [0.62, 0.91]
    """

    auroc: float
    logit_spread: float
    sizes: tuple[float, float]
    degrees_of_freedom: float
    independent: bool = False

    def bounds(self, quantile: float) -> Interval:
        """Return the bounds at a quantile of Student's t.

        They are `NO_INTERVAL` with too few speakers.
        """
        if not np.isfinite(quantile * self.logit_spread):
            return NO_INTERVAL
        if self.independent:
            return newcombe(self.auroc, *self.sizes, _normal_quantile(quantile, self.degrees_of_freedom))
        if self.logit_spread == 0:
            return newcombe(self.auroc, *self.sizes, quantile)
        normal = _normal_quantile(quantile, self.degrees_of_freedom)
        floor = newcombe(self.auroc, *self.sizes, floor_quantile(normal, self.degrees_of_freedom))
        bootstrapped = logit_interval(self.auroc, quantile * self.logit_spread)
        return (min(floor[0], bootstrapped[0]), max(floor[1], bootstrapped[1]))


def floor_quantile(quantile: float, degrees_of_freedom: float) -> float:
    """Return the normal quantile of the limit to other intervals.

    Args:
        quantile: standard normal one of the other interval.
        degrees_of_freedom: of the speakers; at least one.
    """
    return quantile * max(FLOOR, 1 - FLOOR_DEFICIT / degrees_of_freedom**0.5)


def enough_speakers(members: np.ndarray, draws: SpeakerDraws) -> bool:
    """Test whether there are enough speakers for an interval."""
    n_speakers = draws.weights.shape[1]
    found, others = (np.bincount(draws.speaker[group], minlength=n_speakers) > 0 for group in (members, ~members))
    required = MIN_PAIRED_SPEAKERS if np.any(found & others) else 2 * MIN_SPEAKERS
    return n_speakers >= required and min(found.sum(), others.sum()) >= MIN_SPEAKERS


def newcombe(auroc: float, n_members: float, n_nonmembers: float, quantile: float = NORMAL_QUANTILE) -> Interval:
    """Compute Newcombe's interval for independent units.

    It contains all A with |A − auroc| ≤ quantile × σ(A).

    Args:
        auroc: observed AUROC.
        n_members: member units; may be a fraction (effective size).
        n_nonmembers: non-member units; may be a fraction.
        quantile: standard normal, or Student's t.

    >>> [round(bound, 3) for bound in newcombe(1.0, 20, 20)]
    [0.899, 1.0]
    """
    from scipy.optimize import brentq

    def excess(candidate: float) -> float:  # below 0 inside the interval
        return abs(candidate - auroc) - quantile * hanley_mcneil(candidate, n_members, n_nonmembers)

    tiny = 1e-12  # at exactly 0 and 1, σ is 0

    def bound(near: float, far: float, limit: float) -> float:
        if excess(near) >= 0:  # a tiny quantile contains nothing else
            return auroc
        return float(brentq(excess, far, near)) if excess(far) > 0 else limit  # a huge quantile contains everything

    lower = 0.0 if auroc <= tiny else bound(max(tiny, auroc - tiny), tiny, 0.0)
    upper = 1.0 if auroc >= 1 - tiny else bound(min(1 - tiny, auroc + tiny), 1 - tiny, 1.0)
    return (lower, upper)


def hanley_mcneil(auroc: float, n_members: float, n_nonmembers: float) -> float:
    """Compute the standard error of an AUROC of independent units.

    The form is Newcombe's symmetric one: both sizes are replaced by their mean in the terms in which they differ, so
    that flipping the sign of the scores changes nothing. At 0.5 it is the exact standard error of the Mann-Whitney
    statistic without ties.
    """
    mean_size = (n_members + n_nonmembers) / 2
    third_order = (1 - auroc) / (2 - auroc) + auroc / (1 + auroc)
    variance = auroc * (1 - auroc) * (1 + (mean_size - 1) * third_order) / (n_members * n_nonmembers)
    return float(np.sqrt(variance))


def logit_interval(auroc: float, half_width: float) -> Interval:
    """Compute an interval on the logit scale.

    The AUROC is strictly between 0 and 1; the half-width is that of its logit.
    """
    from scipy.special import expit, logit

    return (float(expit(logit(auroc) - half_width)), float(expit(logit(auroc) + half_width)))


def standard_error(replicates: np.ndarray) -> float:
    """Compute the standard deviation of replicates (B,), ignoring NaN.

    NaN if fewer than two are left.
    """
    finite = replicates[np.isfinite(replicates)]
    return float(finite.std(ddof=1)) if len(finite) > 1 else float("nan")


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Compute a quantile of Student's t.

    Infinite with less than one degree of freedom.
    """
    from scipy.stats import t

    return float(t.ppf(probability, degrees_of_freedom)) if degrees_of_freedom >= 1 else float("inf")


def effective_sizes(values: np.ndarray, members: np.ndarray, speaker: np.ndarray) -> tuple[float, float]:
    """Compute the effective numbers of members and non-members.

    If most speakers have both, what raises or lowers all of a speaker's units cancels. What is left are differences
    between speakers in how far the members are above the non-members, which the members are charged with.

    Args:
        values: (n,) scores.
        members: (n,) bool.
        speaker: (n,) int, speaker of each unit, from 0 to S − 1.
    """
    n_speakers = int(speaker.max()) + 1
    found = _RankMeans.of(values[members], speaker[members], n_speakers)
    others = _RankMeans.of(values[~members], speaker[~members], n_speakers)
    paired = (found.counts > 0) & (others.counts > 0)
    if 2 * paired.sum() <= n_speakers:
        return _separate_sizes(values, members, speaker)
    counts, other_counts = found.counts[paired], others.counts[paired]
    shifts = found.means[paired] - others.means[paired]
    centred = shifts - np.average(shifts, weights=counts)
    noise = float(found.within * np.mean(1 / counts) + others.within * np.mean(1 / other_counts))
    between = max(0.0, float(centred @ centred) / (len(shifts) - 1) - noise)
    return found.effective_size(between), others.effective_size(0.0)


def _separate_sizes(values: np.ndarray, members: np.ndarray, speaker: np.ndarray) -> tuple[float, float]:
    return effective_size(values[members], speaker[members]), effective_size(values[~members], speaker[~members])


@dataclass(frozen=True)
class _RankMeans:
    """Ranks of members or non-members among themselves, by speaker."""

    counts: np.ndarray  # (S,) units
    means: np.ndarray  # (S,) mean rank as a fraction; NaN without units
    within: float  # variance within speakers
    total: float  # variance

    @staticmethod
    def of(values: np.ndarray, speaker: np.ndarray, n_speakers: int) -> "_RankMeans":
        from scipy.stats import rankdata

        n = len(values)
        ranks = rankdata(values) / n
        counts = np.bincount(speaker, minlength=n_speakers)
        sums = np.bincount(speaker, weights=ranks, minlength=n_speakers)
        means = np.divide(sums, counts, out=np.full(n_speakers, np.nan), where=counts > 0)
        squares = float(np.sum((ranks - means[speaker]) ** 2))
        return _RankMeans(counts, means, squares / max(1, n - int(np.count_nonzero(counts))), float(ranks.var()))

    def effective_size(self, between: float) -> float:
        """Divide the number of units by the variance of their mean, relative to independent ones."""
        n = float(self.counts.sum())
        cluster_size = float(np.sum(self.counts**2)) / n  # mean size of a unit's cluster
        if self.total == 0:
            return n / cluster_size
        return n * self.total / max(self.within + cluster_size * between, MAX_GAIN * self.total)


def effective_size(values: np.ndarray, cluster: np.ndarray) -> float:
    """Compute the effective sample size of clustered units.

    It is n / (1 + (c − 1) ρ), by Kish's design effect. ρ is the intraclass correlation of the ranks by analysis of
    variance, at least 0; c is the mean size of a unit's cluster.

    Args:
        values: (n,) scores of the members, or of the non-members.
        cluster: (n,) int, speaker of each unit.
    """
    from scipy.stats import rankdata

    ranks = rankdata(values)
    _, cluster, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    n, n_clusters, squares = len(ranks), len(sizes), float(np.sum(sizes**2))
    if n_clusters in (1, n):
        return float(n_clusters)
    means = np.bincount(cluster, weights=ranks) / sizes
    within = np.sum((ranks - means[cluster]) ** 2) / (n - n_clusters)
    between = np.sum(sizes * (means - ranks.mean()) ** 2) / (n_clusters - 1)
    typical_size = (n - squares / n) / (n_clusters - 1)
    total = between + (typical_size - 1) * within
    correlation = max(0.0, float((between - within) / total)) if total > 0 else 1.0
    return n / (1 + (squares / n - 1) * correlation)


def _logit(auroc: np.ndarray) -> np.ndarray:
    from scipy.special import logit

    return np.asarray(logit(auroc))


def _normal_quantile(quantile: float, degrees_of_freedom: float) -> float:
    """Return the normal quantile of the same probability as Student's."""
    from scipy.stats import norm, t

    return float(norm.isf(t.sf(quantile, degrees_of_freedom)))
