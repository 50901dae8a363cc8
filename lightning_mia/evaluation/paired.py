"""Paired differences of AUROCs on the same units."""

from dataclasses import dataclass

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.adjustment import align
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.difference import auroc_difference
from lightning_mia.evaluation.statistics.intervals import t_quantile


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

    The interval is that of `AurocDifference`; `NO_DIFFERENCE_INTERVAL` with too few speakers.

    Raises:
        ValueError: the units or their labels differ.
    """
    if not same_challenge(first, second):
        raise ValueError(f"{first.name} and {second.name} do not have the same units and labels")
    members, first_values, second_values = first.members, first.values, align(second, first)
    draws = draw_speakers(first.speakers, members, n_bootstraps, seed)
    difference = auroc_difference(
        auroc(second_values, members),
        auroc(first_values, members),
        bootstrap_auroc(second_values, members, draws),
        bootstrap_auroc(first_values, members, draws),
        second_values,
        first_values,
        members,
        draws,
    )
    return PairedDifference(difference.value, difference.bounds(t_quantile(0.975, draws.degrees_of_freedom)))
