"""Confidence intervals of a rate over clustered units.

A speaker's recordings tend to be hits or misses together. The interval is Clopper and Pearson's exact one at the
effective sample size of Korn and Graubard (Survey Methodology 24, 1998): the number of units, divided by the design
effect and reduced for the few degrees of freedom of a handful of speakers. With one unit per speaker it is the plain
Clopper-Pearson interval.
"""

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.statistics.clusters import number_speakers


def rate_interval(hits: np.ndarray, speakers: np.ndarray, level: float = 0.95) -> Interval:
    """Compute the confidence interval of a rate over speakers.

    Args:
        hits: (n,) bool; the rate is their mean.
        speakers: (n,) str, speaker of each unit.
        level: confidence level.

    Returns:
        (lower, upper); (0, 1) with a single speaker, since nothing is known about the next one.
    """
    from scipy.stats import t

    n = len(hits)
    cluster, n_speakers = number_speakers(speakers)
    if n_speakers < 2:
        return (0.0, 1.0)
    quantile = 0.5 + level / 2
    few_speakers = (t.ppf(quantile, n - 1) / t.ppf(quantile, n_speakers - 1)) ** 2
    size = n * few_speakers / design_effect(hits, cluster)
    return clopper_pearson(float(hits.mean()) * size, size, level)


def design_effect(hits: np.ndarray, cluster: np.ndarray) -> float:
    """Compute the design effect of clusters on a rate.

    It is the variance of the rate over clusters, relative to independent units; at least 1.

    Args:
        hits: (n,) bool.
        cluster: (n,) int from 0, cluster of each unit; at least two clusters.
    """
    n, rate = len(hits), hits.mean()
    if rate in (0.0, 1.0):
        return 1.0  # without variation, differences between clusters cannot be estimated
    n_clusters = int(cluster.max()) + 1
    residuals = np.bincount(cluster, weights=hits - rate)  # (clusters,) the linearised ratio estimator
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
    from scipy.stats import beta

    tail = (1 - level) / 2
    lower = 0.0 if hits <= 0 else float(beta.ppf(tail, hits, n - hits + 1))
    upper = 1.0 if hits >= n else float(beta.ppf(1 - tail, hits + 1, n - hits))
    return (lower, upper)
