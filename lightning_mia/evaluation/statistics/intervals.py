"""Intervals of an AUROC: for reading; the p-values come from redrawing the split.

Where speakers have several units: the standard error of the cluster bootstrap, Student's t with as many
degrees of freedom as there are speakers to spare, on the logit scale (an AUROC near 1 strays less upwards
than down; symmetric intervals hold a true .95 in 86–91 % only). Where each has one: Newcombe's interval,
whose standard error belongs to the candidate and is not estimated; with 12 speakers and a true .92 it
holds that in 95 %, the symmetric bootstrap interval in 71 %. A perfect AUROC has no bootstrap spread:
there Newcombe's takes effective sizes.
"""

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.statistics.auroc import auroc as auroc_of
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers

NORMAL_QUANTILE = 1.959964  # of 95 %, two-sided


def newcombe(auroc: float, n_members: float, n_nonmembers: float, quantile: float = NORMAL_QUANTILE) -> Interval:
    """The AUROCs A with |A − auroc| ≤ quantile × σ(A), for independent units.

    Args:
        auroc: as observed.
        n_members: member units; may be a fraction (an effective size).
        n_nonmembers: non-member units, likewise.
        quantile: standard normal, or Student's t.

    >>> [round(bound, 3) for bound in newcombe(1.0, 20, 20)]
    [0.899, 1.0]
    """
    from scipy.optimize import brentq

    def excess(candidate: float) -> float:  # below 0 inside the interval
        return abs(candidate - auroc) - quantile * hanley_mcneil(candidate, n_members, n_nonmembers)

    tiny = 1e-12  # at 0 and 1 themselves σ is 0 and the inequality says nothing
    lower = 0.0 if auroc <= tiny else float(brentq(excess, tiny, max(tiny, auroc - tiny)))
    upper = 1.0 if auroc >= 1 - tiny else float(brentq(excess, min(1 - tiny, auroc + tiny), 1 - tiny))
    return (lower, upper)


def hanley_mcneil(auroc: float, n_members: float, n_nonmembers: float) -> float:
    """Standard error of an AUROC of independent units, in Newcombe's symmetric form.

    Both sizes are replaced by their mean in the terms in which they differ, so that turning the scores round
    changes nothing. At 0.5 it is the exact one of the Mann-Whitney statistic without ties.
    """
    mean_size = (n_members + n_nonmembers) / 2
    third_order = (1 - auroc) / (2 - auroc) + auroc / (1 + auroc)
    variance = auroc * (1 - auroc) * (1 + (mean_size - 1) * third_order) / (n_members * n_nonmembers)
    return float(np.sqrt(variance))


def auroc_with_interval(
    values: np.ndarray, members: np.ndarray, speakers: np.ndarray, n_bootstraps: int, seed: int
) -> tuple[float, Interval]:
    """AUROC and its 95 % interval over speakers, of what is shown and not tested.

    Args:
        values: (n,) scores.
        members: (n,) bool.
        speakers: (n,) str, the speaker of each unit.
        n_bootstraps: how many times speakers are drawn.
        seed: of the draws.
    """
    draws = draw_speakers(speakers, members, n_bootstraps, seed)
    observed = auroc_of(values, members)
    return observed, auroc_interval(observed, bootstrap_auroc(values, members, draws), values, members, draws)


def auroc_interval(
    auroc: float,
    replicates: np.ndarray,
    values: np.ndarray,
    members: np.ndarray,
    draws: SpeakerDraws,
    level: float = 0.95,
) -> Interval:
    """Two-sided interval of an AUROC.

    Args:
        auroc: of the n units.
        replicates: (B,) AUROC of each draw of speakers.
        values: (n,) scores; looked at only where the AUROC is 0 or 1.
        members: (n,) bool.
        draws: that the replicates came from.
        level: the share of samples whose interval holds the true AUROC.

    Returns:
        (lower, upper) within [0, 1]; (0, 1) where there are too few speakers for any interval.
    """
    from scipy.stats import norm

    quantile = t_quantile(0.5 + level / 2, draws.degrees_of_freedom)
    spread = standard_error(replicates)
    if draws.one_unit_each:
        return newcombe(auroc, members.sum(), (~members).sum(), float(norm.ppf(0.5 + level / 2)))
    if not np.isfinite(quantile * spread):
        return (0.0, 1.0)
    if auroc in (0.0, 1.0):
        sizes = [effective_size(values[side], draws.speaker[side]) for side in (members, ~members)]
        return newcombe(auroc, sizes[0], sizes[1], quantile)
    return logit_interval(auroc, quantile * spread)


def standard_error(replicates: np.ndarray) -> float:
    """Standard deviation of replicates (B,) except the NaN ones (one side empty); NaN if none is left."""
    kept = replicates[np.isfinite(replicates)]
    return float(kept.std(ddof=1)) if len(kept) > 1 else float("nan")


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Quantile of Student's t; infinite without a degree of freedom, for then nothing is known."""
    from scipy.stats import t

    return float(t.ppf(probability, degrees_of_freedom)) if degrees_of_freedom >= 1 else float("inf")


def effective_size(values: np.ndarray, cluster: np.ndarray) -> float:
    """How many independent units n clustered ones are worth: n / (1 + (c − 1) ρ), Kish's design effect.

    Args:
        values: (n,) scores of one side; their ranks are used.
        cluster: (n,) int, the speaker of each unit.

    ρ is the intraclass correlation by analysis of variance, at least 0; c is the mean size of a unit's
    cluster.
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


def logit_interval(auroc: float, half_width: float) -> Interval:
    """Interval of an AUROC strictly between 0 and 1, whose half-width is given, turned into logits at its place."""
    from scipy.special import expit, logit

    centre, half_width = logit(auroc), half_width / (auroc * (1 - auroc))
    return (float(expit(centre - half_width)), float(expit(centre + half_width)))
