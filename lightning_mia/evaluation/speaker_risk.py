"""Risk of individual speakers.

Each member speaker has an AUROC, with interval and p-value. The AUROC is operational: the probability that a member
unit of this speaker scores above a non-member of any speaker, which is what an adversary with one threshold for all
speakers achieves. It is not evidence by itself, for two reasons:

- A speaker whose recordings all score high, members or not, has a high AUROC without any leak. The p-value therefore
  compares within speakers if it can. If the speaker has non-members, it is that of a Mann-Whitney test of the
  speaker's members against the speaker's *own* non-members: given the number of the speaker's members, a draw of
  recordings makes every choice of them equally likely, so that the test is exact. If all of the speaker's units are
  members, it compares with the non-member speakers: the share of them that score at least as high, the speaker included
  (the conformal p-value), which is at least 1 / (1 + their number).
- Of many speakers, some stand out by chance. Holm's correction covers all speakers with an AUROC; only a corrected
  p-value is a finding about one speaker. `smallest_p_corrected` reveals speakers for whom even a perfect separation
  would not be significant.

Intervals are for one speaker each, not simultaneous. They describe other recordings of this speaker against other
non-member speakers: DeLong's components with the non-members' part summed by speaker (Obuchowski, Biometrics 53, 1997),
Student's t with Welch and Satterthwaite's degrees of freedom, on the logit scale. With 5 and with 10 recordings of a
speaker among 6 to 50 speakers they covered the true AUROC of 90 to 99 % of simulated speakers. The scores of a speaker
with a single unit have no variance: that interval is Clopper and Pearson's, for the share of non-member speakers below.

If an attack is two-sided and its AUROC is below .5, the sign of all scores is flipped; its p-values are two-sided.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from lightning_mia.evaluation.results import NO_INTERVAL, Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import auroc, n_below
from lightning_mia.evaluation.statistics.intervals import (
    effective_size,
    logit_interval,
    newcombe,
    t_quantile,
)
from lightning_mia.evaluation.statistics.permutation import holm
from lightning_mia.evaluation.statistics.rank_sum import rank_sum_p, smallest_rank_sum_p
from lightning_mia.evaluation.statistics.rates import clopper_pearson
from lightning_mia.evaluation.statistics.roc import threshold_at

MIN_MEMBERS = 5
"""Minimum number of a speaker's member recordings for an AUROC."""

MIN_OTHERS = 6
"""Minimum number of non-member speakers for any AUROC: the intervals' coverage was not measured with fewer."""


@dataclass(frozen=True)
class SpeakerRisk:
    """Risk of one speaker.

    Attributes:
        speaker: name or pseudonym.
        n_members: the speaker's member units.
        n_nonmembers: the speaker's non-member units.
        n_found: member units at or above the lowest threshold with a false positive rate of at most `fpr`.
        fpr: false positive rate of the threshold, over all non-members.
        auroc: probability that a member unit of the speaker scores higher than a non-member of any speaker.
        auroc_ci95: its 95 % interval.
        auroc_own: AUROC against the speaker's own non-members only; None without any.
        compared_with: non-members with which the p-value compares the speaker's members.
        p_value: probability that the speaker's members would score at least this high by chance.
        p_value_corrected: corrected over all speakers with an AUROC (Holm).
        smallest_p_corrected: corrected p-value of a perfect separation of this speaker alone.

    Example:
        >>> risk = SpeakerRisk("speaker 3", 5, 5, 4, 0.01, 0.98, (0.85, 1.0), 0.96, "own_nonmembers", 0.008, 0.06, 0.03)
        >>> risk.p_value_corrected < 0.05  # not a finding, although the AUROC is high
        False
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
    """Risks of all speakers, by one attack.

    Attributes:
        attack: name of the attack.
        level: level of the attack.
        two_sided: the p-values are two-sided.
        speakers: speakers with an AUROC, the highest first.
        n_too_few: number of speakers with members but no AUROC: too few members, or too few non-member speakers in all.
        n_without: number of speakers without members.

    Example:
        >>> risks = SpeakerRisks("lira", "utterance", False, speakers=(), n_too_few=3, n_without=17)
        >>> f"{risks.n_too_few} speakers have fewer than {MIN_MEMBERS} members"
        '3 speakers have fewer than 5 members'
    """

    attack: str
    level: str
    two_sided: bool
    speakers: tuple[SpeakerRisk, ...]
    n_too_few: int
    n_without: int


def speaker_risks(scores: Scores, fpr: float = 0.01) -> SpeakerRisks:
    """Estimate the risk of every speaker with members.

    Args:
        scores: of one attack.
        fpr: false positive rate of the threshold for `n_found`.

    Example:
        >>> speakers = np.repeat([f"speaker {i}" for i in range(8)], 10)
        >>> members, units = np.tile(np.arange(10) < 5, 8), [str(i) for i in range(80)]
        >>> values = np.arange(80) % 7 + 10 * members * (speakers == "speaker 3")
        >>> risks = speaker_risks(Scores("loss", "utterance", "grey-box", False, units, speakers, members, values))
        >>> [(risk.speaker, risk.auroc) for risk in risks.speakers if risk.p_value_corrected < 0.05]
        [('speaker 3', 1.0)]
    """
    if scores.two_sided and auroc(scores.values, scores.members) < 0.5:
        scores = replace(scores, values=-scores.values)
    names, speaker = np.unique(scores.speakers, return_inverse=True)
    with_members = np.unique(speaker[scores.members])
    min_members = MIN_MEMBERS if scores.level == "utterance" else 1
    order = np.argsort(scores.values, kind="stable")
    order = order[~scores.members[order]]
    others = _NonMembers(scores.values[order], speaker[order])
    threshold = threshold_at(scores, fpr)
    risks = [
        _risk(str(names[number]), number, members, others, two_sided=scores.two_sided, fpr=fpr, threshold=threshold)
        for number, members in _by_speaker(scores.values[scores.members], speaker[scores.members])
        if others.n_speakers >= MIN_OTHERS and len(members) >= min_members
    ]
    return SpeakerRisks(
        attack=scores.name,
        level=scores.level,
        two_sided=scores.two_sided,
        speakers=tuple(_corrected(risks)),
        n_too_few=len(with_members) - len(risks),
        n_without=len(names) - len(with_members),
    )


def share_below(values: np.ndarray, opponents: np.ndarray) -> np.ndarray:
    """Compute the share of opponents below each value.

    Ties count half: values (n,), opponents (k,) → (n,).

    >>> share_below(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
    array([0.75, 1.  ])
    """
    return n_below(values, opponents) / len(opponents)


@dataclass(frozen=True)
class _NonMembers:
    """Non-members of all speakers, the lowest score first."""

    values: np.ndarray  # (k,)
    speaker: np.ndarray  # (k,) int

    @cached_property
    def n_speakers(self) -> int:
        """Number of speakers with non-members."""
        return len(np.unique(self.speaker))


def _by_speaker(values: np.ndarray, speaker: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each speaker's index and values."""
    order = np.argsort(speaker, kind="stable")
    numbers, starts = np.unique(speaker[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(values[order], starts[1:]), strict=True)


def _risk(
    name: str, number: int, members: np.ndarray, others: _NonMembers, *, two_sided: bool, fpr: float, threshold: float
) -> SpeakerRisk:
    own_nonmembers = others.values[others.speaker == number]
    shares_below = share_below(members, others.values)  # (m,)
    speaker_auroc = float(shares_below.mean())
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
        auroc=speaker_auroc,
        auroc_ci95=_interval(speaker_auroc, shares_below, members, others),
        auroc_own=float(share_below(members, own_nonmembers).mean()) if len(own_nonmembers) else None,
        compared_with="own_nonmembers" if len(own_nonmembers) else "other_speakers",
        p_value=p,
        smallest_p_corrected=smallest,
    )


def _interval(auroc: float, shares_below: np.ndarray, members: np.ndarray, others: _NonMembers) -> Interval:
    n_others, n_speakers = len(others.values), others.n_speakers
    if len(members) == 1:
        return clopper_pearson(auroc * n_speakers, n_speakers) if n_others == n_speakers else NO_INTERVAL
    shares_above = 1 - share_below(others.values, members)  # (k,) share of the members above each non-member
    sums = np.bincount(others.speaker, weights=shares_above - auroc)
    member_variance = float(shares_below.var(ddof=1)) / len(members)
    other_variance = float(np.sum(sums**2)) * n_speakers / (n_speakers - 1) / n_others**2
    variance = member_variance + other_variance
    if auroc in (0.0, 1.0) or variance == 0:
        quantile = t_quantile(0.975, min(len(members), n_speakers) - 1)
        return newcombe(auroc, len(members), effective_size(others.values, others.speaker), quantile)
    freedom = variance**2 / (member_variance**2 / (len(members) - 1) + other_variance**2 / (n_speakers - 1))
    return logit_interval(auroc, t_quantile(0.975, freedom) * variance**0.5 / (auroc * (1 - auroc)))


def _p_among_speakers(members: np.ndarray, others: _NonMembers, two_sided: bool) -> tuple[float, float]:
    """Rank the speaker among the non-member speakers by mean score.

    Returns the p-value, and the smallest possible one.
    """
    counts = np.bincount(others.speaker)
    means = np.bincount(others.speaker, weights=others.values)[counts > 0] / counts[counts > 0]
    tails = 1 + two_sided
    higher, lower = (1 + np.sum(means >= members.mean())), (1 + np.sum(means <= members.mean()))
    extreme = min(higher, lower) if two_sided else higher
    return float(min(1.0, tails * extreme / (1 + len(means)))), float(min(1.0, tails / (1 + len(means))))


def _corrected(risks: list[SpeakerRisk]) -> list[SpeakerRisk]:
    """Correct the p-values over all speakers, and sort by AUROC."""
    corrected = [
        replace(risk, p_value_corrected=p, smallest_p_corrected=min(1.0, len(risks) * risk.smallest_p_corrected))
        for risk, p in zip(risks, holm([risk.p_value for risk in risks]), strict=True)
    ]
    return sorted(corrected, key=lambda risk: (-risk.auroc, risk.p_value, risk.speaker))
