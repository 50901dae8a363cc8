"""Paired differences of AUROCs on the same units."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.adjustment import align
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import auroc_interval, standard_error, t_quantile


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two AUROCs.

    Attributes:
        value: second AUROC minus first AUROC.
        ci95: its 95 % interval over speakers, with the same draws of speakers for both.

    Example:
        >>> difference = PairedDifference(0.08, (0.02, 0.14))
        >>> difference.ci95[0] > 0  # the second attack is stronger
        True
    """

    value: float
    ci95: Interval


def same_challenge(first: Scores, second: Scores) -> bool:
    """Test whether both have the same units and labels."""
    labels = [dict(zip(scores.unit_ids.tolist(), scores.members.tolist(), strict=True)) for scores in (first, second)]
    return labels[0] == labels[1]


def paired_difference(first: Scores, second: Scores, n_bootstraps: int = 1000, seed: int = 0) -> PairedDifference:
    """Compare two attacks, or two models, unit by unit.

    The interval is the difference ± Student's t times the standard error of the difference, by the cluster bootstrap.
    If that error is 0 although the scores rank the units differently, as with two perfect attacks, the bootstrap cannot
    estimate it. Then the interval combines those of the two AUROCs as if they were independent (Newcombe, Statistics in
    Medicine 17, 1998), which is wider.

    Raises:
        ValueError: the units or their labels differ.
    """
    if not same_challenge(first, second):
        raise ValueError(f"{first.name} and {second.name} do not have the same units and labels")
    members, values = first.members, [first.values, align(second, first)]
    draws = draw_speakers(first.speakers, members, n_bootstraps, seed)
    replicates = [bootstrap_auroc(scores, members, draws) for scores in values]
    aurocs = [auroc(scores, members) for scores in values]
    difference = aurocs[1] - aurocs[0]
    spread = standard_error(replicates[1] - replicates[0])
    half_width = t_quantile(0.975, draws.degrees_of_freedom) * spread
    if not np.isfinite(half_width):
        return PairedDifference(difference, (-1.0, 1.0))
    if spread > 0 or _same_order(*values):
        return PairedDifference(difference, (max(-1.0, difference - half_width), min(1.0, difference + half_width)))
    (low1, high1), (low2, high2) = (auroc_interval(aurocs[i], replicates[i], values[i], members, draws) for i in (0, 1))
    down = np.hypot(aurocs[1] - low2, high1 - aurocs[0])
    up = np.hypot(high2 - aurocs[1], aurocs[0] - low1)
    return PairedDifference(difference, (max(-1.0, float(difference - down)), min(1.0, float(difference + up))))


def _same_order(first: np.ndarray, second: np.ndarray) -> bool:
    from scipy.stats import rankdata

    return bool(np.array_equal(rankdata(first), rankdata(second)))
