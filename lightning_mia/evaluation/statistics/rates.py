"""Confidence intervals of a rate over clustered units.

A speaker's recordings tend to be hits or misses together. The interval is Clopper and Pearson's exact one at the
effective sample size of Korn and Graubard (Survey Methodology 24, 1998): the number of units, divided by the design
effect and reduced for the few degrees of freedom of a handful of speakers. With one unit per speaker it is the plain
Clopper-Pearson interval.
"""

import numpy as np

from lightning_mia.evaluation.results import NO_INTERVAL, Interval
from lightning_mia.evaluation.statistics.clusters import number_speakers


def rate_interval(hits: np.ndarray, speakers: np.ndarray, level: float = 0.95) -> Interval:
    """Compute the confidence interval of a rate over speakers.

    Args:
        hits: (n,) bool; the rate is their mean.
        speakers: (n,) str, speaker of each unit.
        level: confidence level.

    Returns:
        (lower, upper); `NO_INTERVAL` with a single speaker, since nothing is known about the next one.
    """
    cluster, n_speakers = number_speakers(speakers)
    if n_speakers < 2:
        return NO_INTERVAL
    hit_counts, counts = (np.bincount(cluster[units], minlength=n_speakers) for units in (hits, slice(None)))
    trials = effective_trials(hit_counts, counts, level)
    return clopper_pearson(float(hits.mean()) * trials, trials, level)


def effective_trials(hits: np.ndarray, counts: np.ndarray, level: float = 0.95) -> float:
    """Compute the effective number of trials of a clustered rate.

    Args:
        hits: (S,) hits of each speaker.
        counts: (S,) units of each speaker; at least two speakers have some.
        level: confidence level of the interval.
    """
    from scipy.special import stdtrit

    n, n_speakers, quantile = counts.sum(), np.count_nonzero(counts), 0.5 + level / 2
    few_speakers = (stdtrit(n - 1, quantile) / stdtrit(n_speakers - 1, quantile)) ** 2
    return float(n * few_speakers / design_effect(hits, counts))


def design_effect(hits: np.ndarray, counts: np.ndarray) -> float:
    """Compute the design effect of clusters on a rate.

    It is the variance of the rate over clusters, relative to independent units; at least 1.

    Args:
        hits: (S,) hits of each cluster.
        counts: (S,) units of each cluster; at least two clusters have some.
    """
    n, rate = counts.sum(), hits.sum() / counts.sum()
    if rate in (0.0, 1.0):
        return 1.0  # without variation, differences between clusters cannot be estimated
    n_clusters = np.count_nonzero(counts)
    residuals = hits - rate * counts  # (S,) the linearised ratio estimator
    clustered = n_clusters / (n_clusters - 1) * np.sum(residuals**2) / n**2
    independent = rate * (1 - rate) / (n - 1)
    return max(1.0, float(clustered / independent))


def clopper_pearson(hits: float, n: float, level: float = 0.95) -> Interval:
    """Compute the exact interval of a binomial rate.

    Args:
        hits: successes; may be a fraction.
        n: trials; may be a fraction (effective size).
        level: confidence level.

    >>> [round(bound, 3) for bound in clopper_pearson(0, 10)]
    [0.0, 0.308]
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    lower = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, tail))
    upper = 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - tail))
    return (lower, upper)


def jeffreys(hits: float, n: float, level: float = 0.95) -> Interval:
    """Compute Jeffreys' interval of a binomial rate.

    It is shorter than the exact one, and as a part of a longer interval sufficient. The arguments are those of
    `clopper_pearson`.

    >>> [round(bound, 3) for bound in jeffreys(0, 10)]
    [0.0, 0.217]
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    lower = 0.0 if hits <= 0 else float(betaincinv(hits + 0.5, n - hits + 0.5, tail))
    upper = 1.0 if hits >= n else float(betaincinv(hits + 0.5, n - hits + 0.5, 1 - tail))
    return (lower, upper)
