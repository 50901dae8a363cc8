"""Two AUROCs on the same units and labels: how far apart, and how sure that is."""

from dataclasses import dataclass

import numpy as np

from lightning_mia.evaluation.results import Difference, Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.adjustment import align
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.bootstrap import SpeakerDraws, bootstrap_auroc, draw_speakers
from lightning_mia.evaluation.statistics.intervals import auroc_interval, standard_error, t_quantile


def versus_wrong_model(scores: Scores, wrong: Scores, draws: SpeakerDraws, replicates: np.ndarray) -> Difference:
    """Paired difference of two AUROCs, with a one-sided lower bound over speakers.

    A two-sided attack has no direction of its own and takes that of the target's AUROC. Were there no
    leak, that choice would favour the target: either sign can come out positive by chance, about twice as
    often as one. The bound is therefore taken at 97.5 % there, so that it lies above a true difference of
    0 in at most 5 %.

    Args:
        scores: of the target, n units.
        wrong: of the wrong model, on the same units at least, in any order.
        draws: of the speakers of these n units.
        replicates: (B,) AUROC of the target in each draw.

    Raises:
        ValueError: the wrong model did not judge one of the units.
    """
    values = align(wrong, scores)
    of_target, of_wrong = auroc(scores.values, scores.members), auroc(values, scores.members)
    sign = -1.0 if scores.two_sided and of_target < 0.5 else 1.0
    difference = sign * (of_target - of_wrong)
    spread = standard_error(replicates - bootstrap_auroc(values, scores.members, draws))
    quantile = t_quantile(0.975 if scores.two_sided else 0.95, draws.degrees_of_freedom)
    lower = difference - quantile * spread if np.isfinite(quantile * spread) else -1.0
    return Difference(
        value=difference,
        lower95=max(-1.0, lower),
        standard_error=spread if np.isfinite(spread) else 1.0,
        auroc_wrong_model=of_wrong,
    )


@dataclass(frozen=True)
class PairedDifference:
    """A difference of AUROCs.

    Attributes:
        value: AUROC of the second minus AUROC of the first.
        ci95: its 95 % interval over speakers, both judged on the same draws of speakers.
    """

    value: float
    ci95: Interval


def same_challenge(first: Scores, second: Scores) -> bool:
    """Whether both are of the same units, with the same members."""
    ours, theirs = (dict(zip(s.unit_ids.tolist(), s.members.tolist(), strict=True)) for s in (first, second))
    return ours == theirs


def paired_difference(first: Scores, second: Scores, n_bootstraps: int = 1000, seed: int = 0) -> PairedDifference:
    """Compare two attacks, or one attack on two models, unit by unit.

    The interval is the difference ± Student's t times the standard error of the cluster bootstrap of the difference.
    Where that error is 0 though the scores differ in order, as of two perfect attacks, nothing varies that could tell
    it: there the interval combines those of the two AUROCs as if they were independent (Newcombe, Statistics in
    Medicine 17, 1998), which is wider.

    Raises:
        ValueError: the units or their labels are not the same.
    """
    if not same_challenge(first, second):
        raise ValueError(f"{first.name} and {second.name} were not judged on the same units and labels")
    members, mine, other = first.members, first.values, align(second, first)
    draws = draw_speakers(first.speakers, members, n_bootstraps, seed)
    replicates = [bootstrap_auroc(values, members, draws) for values in (mine, other)]
    figures = [auroc(values, members) for values in (mine, other)]
    difference = figures[1] - figures[0]
    spread = standard_error(replicates[1] - replicates[0])
    half_width = t_quantile(0.975, draws.degrees_of_freedom) * spread
    if not np.isfinite(half_width):
        return PairedDifference(difference, (-1.0, 1.0))
    if spread > 0 or _same_order(mine, other):
        return PairedDifference(difference, (max(-1.0, difference - half_width), min(1.0, difference + half_width)))
    (low1, high1), (low2, high2) = (
        auroc_interval(figure, of_draws, values, members, draws)
        for figure, of_draws, values in zip(figures, replicates, (mine, other), strict=True)
    )
    down = np.hypot(figures[1] - low2, high1 - figures[0])
    up = np.hypot(high2 - figures[1], figures[0] - low1)
    return PairedDifference(difference, (max(-1.0, float(difference - down)), min(1.0, float(difference + up))))


def _same_order(first: np.ndarray, second: np.ndarray) -> bool:
    from scipy.stats import rankdata

    return bool(np.array_equal(rankdata(first), rankdata(second)))
