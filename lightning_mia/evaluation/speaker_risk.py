"""Which speakers' recordings an attack finds: one figure a member speaker, its interval, and what speaks for it.

The figure is operational: how probably does one of this speaker's member units score above a non-member of any speaker.
An adversary with one threshold for all gets just that. It is not evidence on its own, for two reasons:

- A speaker whose recordings all score high, trained on or not, has a high figure without any leak. The p-value
  therefore compares like with like. Where the speaker has own non-members, it is that of Mann and Whitney's test of the
  speaker's members against the speaker's *own* non-members: given how many of a speaker's recordings are members, a
  draw of recordings makes every choice of them equally likely, so that the test is exact. Where the speaker stands on
  one side as a whole, there is only the comparison with the non-member speakers: the share of them that score as high,
  the speaker counted in (the conformal p-value), which is never below 1 / (1 + their number).
- Of many speakers some stand out by chance. Holm's correction runs over all speakers with a figure; only what survives
  it is a finding about one speaker. Where even a perfect separation would not survive, `smallest_p_corrected` says so.

Intervals are about one speaker, not simultaneous. They describe other recordings of this speaker against other
non-member speakers: DeLong's components with the non-members' part summed by speaker (Obuchowski, Biometrics 53, 1997),
Student's t with Welch and Satterthwaite's degrees of freedom, on the logit scale; with 5 and with 10 recordings of a
speaker among 6 to 50 speakers it held the true figure in 90 to 99 % of simulated speakers. A speaker with a single unit
has no spread of its own: there the interval is Clopper and Pearson's, for the share of non-member speakers below it.

Where an attack is two-sided and its AUROC lies below .5, all scores are turned; p-values are two-sided then.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import auroc
from lightning_mia.evaluation.statistics.intervals import effective_size, logit_interval, newcombe, t_quantile
from lightning_mia.evaluation.statistics.permutation import holm
from lightning_mia.evaluation.statistics.rank_sum import rank_sum_p, smallest_rank_sum_p
from lightning_mia.evaluation.statistics.rates import clopper_pearson
from lightning_mia.evaluation.statistics.roc import threshold_at

MIN_MEMBERS = 5
"""Member recordings of a speaker, below which there is no figure."""

MIN_OTHERS = 6
"""Non-member speakers to compare with, below which there is no figure: intervals were tried with as many."""


@dataclass(frozen=True)
class SpeakerRisk:
    """What an attack finds of one speaker.

    Attributes:
        speaker: the name, or a pseudonym.
        n_members: the speaker's member units.
        n_nonmembers: the speaker's non-member units.
        n_found: member units above the threshold that `fpr` of all non-members exceed at most.
        fpr: that false positive rate.
        auroc: probability that a member unit of the speaker scores higher than a non-member of any speaker.
        auroc_ci95: its 95 % interval.
        auroc_own: the same against the speaker's own non-members only; None where there are none.
        compared_with: what the p-value compares the speaker's members with.
        p_value: that they score so high by chance.
        p_value_corrected: over all speakers with a figure (Holm).
        smallest_p_corrected: what a perfect separation would have been given, tested alone against all speakers.
    """

    speaker: str
    n_members: int
    n_nonmembers: int
    n_found: int
    fpr: float
    auroc: float
    auroc_ci95: Interval
    auroc_own: float | None
    compared_with: Literal["own_nonmembers", "other_speakers"]
    p_value: float
    p_value_corrected: float = 1.0
    smallest_p_corrected: float = 1.0


@dataclass(frozen=True)
class SpeakerRisks:
    """The speakers of one attack.

    Attributes:
        attack: its name.
        level: its level.
        two_sided: the p-values are two-sided.
        speakers: those with a figure, the highest first.
        n_too_few: speakers with members, but too few for a figure.
        n_without: speakers without members, of whom nothing can be told.
    """

    attack: str
    level: str
    two_sided: bool
    speakers: tuple[SpeakerRisk, ...]
    n_too_few: int
    n_without: int


def speaker_risks(scores: Scores, fpr: float = 0.01) -> SpeakerRisks:
    """Judge every speaker with members.

    Args:
        scores: of one attack.
        fpr: false positive rate of the threshold that members are found at.
    """
    if scores.two_sided and auroc(scores.values, scores.members) < 0.5:
        scores = replace(scores, values=-scores.values)
    names, speaker = np.unique(scores.speakers, return_inverse=True)
    with_members = np.unique(speaker[scores.members])
    fewest = MIN_MEMBERS if scores.level == "utterance" else 1
    order = np.argsort(scores.values, kind="stable")
    order = order[~scores.members[order]]
    others = _NonMembers(scores.values[order], speaker[order])
    enough = others.n_speakers >= MIN_OTHERS
    threshold = threshold_at(scores, fpr)
    found = [
        _risk(str(names[number]), number, members, others, two_sided=scores.two_sided, fpr=fpr, threshold=threshold)
        for number, members in _by_speaker(scores.values[scores.members], speaker[scores.members])
        if enough and len(members) >= fewest
    ]
    return SpeakerRisks(
        attack=scores.name,
        level=scores.level,
        two_sided=scores.two_sided,
        speakers=tuple(_corrected(found)),
        n_too_few=len(with_members) - len(found),
        n_without=len(names) - len(with_members),
    )


@dataclass(frozen=True)
class _NonMembers:
    """The non-members of all speakers, the lowest score first."""

    values: np.ndarray  # (k,)
    speaker: np.ndarray  # (k,) int

    @cached_property
    def n_speakers(self) -> int:
        """How many speakers they are of."""
        return len(np.unique(self.speaker))


def _by_speaker(values: np.ndarray, speaker: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    order = np.argsort(speaker, kind="stable")
    numbers, starts = np.unique(speaker[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(values[order], starts[1:]), strict=True)


def _risk(
    name: str, number: int, members: np.ndarray, others: _NonMembers, *, two_sided: bool, fpr: float, threshold: float
) -> SpeakerRisk:
    own_nonmembers = others.values[others.speaker == number]
    above = share_beaten(members, others.values)  # (m,)
    figure = float(above.mean())
    if len(own_nonmembers):
        p = rank_sum_p(members, own_nonmembers, two_sided)
        smallest = smallest_rank_sum_p(len(members), len(own_nonmembers), two_sided)
    else:
        p, smallest = _p_among_speakers(members, others, two_sided)
    return SpeakerRisk(
        speaker=name,
        n_members=len(members),
        n_nonmembers=len(own_nonmembers),
        n_found=int((members >= threshold).sum()),
        fpr=fpr,
        auroc=figure,
        auroc_ci95=_interval(figure, above, members, others),
        auroc_own=float(share_beaten(members, own_nonmembers).mean()) if len(own_nonmembers) else None,
        compared_with="own_nonmembers" if len(own_nonmembers) else "other_speakers",
        p_value=p,
        smallest_p_corrected=smallest,
    )


def share_beaten(values: np.ndarray, opponents: np.ndarray) -> np.ndarray:
    """Share of the opponents (k,) below each value, ties half: (n,).

    >>> share_beaten(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    array([0.75, 1.  ])
    """
    opponents = np.sort(opponents, kind="stable")  # quick where they are sorted already
    below, not_above = (np.searchsorted(opponents, values, side=side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(opponents))


def _interval(figure: float, above: np.ndarray, members: np.ndarray, others: _NonMembers) -> Interval:
    n_others, n_speakers = len(others.values), others.n_speakers
    if len(members) == 1:
        return clopper_pearson(figure * n_speakers, n_speakers) if n_others == n_speakers else (0.0, 1.0)
    beaten_by = 1 - share_beaten(others.values, members)  # (k,) share of the members above each non-member
    sums = np.bincount(others.speaker, weights=beaten_by - figure)
    of_members = float(above.var(ddof=1)) / len(members)
    of_others = float(np.sum(sums**2)) * n_speakers / (n_speakers - 1) / n_others**2
    variance = of_members + of_others
    if figure in (0.0, 1.0) or variance == 0:
        quantile = t_quantile(0.975, min(len(members), n_speakers) - 1)
        return newcombe(figure, len(members), effective_size(others.values, others.speaker), quantile)
    freedom = variance**2 / (of_members**2 / (len(members) - 1) + of_others**2 / (n_speakers - 1))
    return logit_interval(figure, t_quantile(0.975, freedom) * variance**0.5)


def _p_among_speakers(members: np.ndarray, others: _NonMembers, two_sided: bool) -> tuple[float, float]:
    """Where the speaker's mean score stands among those of the non-member speakers; and the smallest p there is."""
    counts = np.bincount(others.speaker)
    means = np.bincount(others.speaker, weights=others.values)[counts > 0] / counts[counts > 0]
    sides = 1 + two_sided
    higher, lower = (1 + np.sum(means >= members.mean())), (1 + np.sum(means <= members.mean()))
    extreme = min(higher, lower) if two_sided else higher
    return float(min(1.0, sides * extreme / (1 + len(means)))), float(min(1.0, sides / (1 + len(means))))


def _corrected(found: list[SpeakerRisk]) -> list[SpeakerRisk]:
    corrected = holm([one.p_value for one in found])
    complete = [
        replace(one, p_value_corrected=p, smallest_p_corrected=min(1.0, len(found) * one.smallest_p_corrected))
        for one, p in zip(found, corrected, strict=True)
    ]
    return sorted(complete, key=lambda one: (-one.auroc, one.p_value, one.speaker))
