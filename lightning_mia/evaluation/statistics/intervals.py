"""Confidence intervals of an AUROC.

P-values come from redrawing the split instead. If speakers have several units, the interval is Student's t times the
standard error of the cluster bootstrap, with the speakers' degrees of freedom, on the logit scale (an AUROC near 1
varies less upwards than downwards; symmetric intervals cover a true .95 in 86–91 % only). If each speaker has one unit,
it is Newcombe's interval, whose standard error is that of each candidate AUROC and not an estimate; with 12 speakers
and a true .92 it covers in 95 %, the symmetric bootstrap interval in 71 %. A perfect AUROC does not vary in the
bootstrap; then it is Newcombe's interval for effective sample sizes.
"""

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.statistics.auroc import auroc as compute_auroc
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers

NORMAL_QUANTILE = 1.959964  # of 95 %, two-sided


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
        values: (n,) scores; used only if the AUROC is 0 or 1.
        members: (n,) bool.
        draws: of the replicates.
        level: confidence level.

    Returns:
        (lower, upper) within [0, 1]; (0, 1) with too few speakers for any interval.
    """
    from scipy.stats import norm

    quantile = t_quantile(0.5 + level / 2, draws.degrees_of_freedom)
    spread = standard_error(replicates)
    if draws.one_unit_per_speaker:
        return newcombe(auroc, members.sum(), (~members).sum(), float(norm.ppf(0.5 + level / 2)))
    if not np.isfinite(quantile * spread):
        return (0.0, 1.0)
    if auroc in (0.0, 1.0):
        sizes = [effective_size(values[group], draws.speaker[group]) for group in (members, ~members)]
        return newcombe(auroc, sizes[0], sizes[1], quantile)
    return logit_interval(auroc, quantile * spread)


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
    lower = 0.0 if auroc <= tiny else float(brentq(excess, tiny, max(tiny, auroc - tiny)))
    upper = 1.0 if auroc >= 1 - tiny else float(brentq(excess, min(1 - tiny, auroc + tiny), 1 - tiny))
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

    The AUROC is strictly between 0 and 1; the half-width is on the AUROC's own scale.
    """
    from scipy.special import expit, logit

    centre, half_width = logit(auroc), half_width / (auroc * (1 - auroc))
    return (float(expit(centre - half_width)), float(expit(centre + half_width)))


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
