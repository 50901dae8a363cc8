"""Results by level and access, and which of them a page shows first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning_mia.evaluation.results import AttackResult, EachAsTarget, LevelVerdict, TprAtFpr
from lightning_mia.evaluation.scores import ACCESSES, LEVELS
from lightning_mia.evaluation.verdict import strength
from lightning_mia.report.audit_report import AuditReport

MAX_FEATURED = 4
"""Attacks of one level and access that are drawn at once; more curves would hide each other."""

MAX_CONTROLS = 12
"""Controls of one level that are all shown at once; of more, only those of the best attacks."""

CONTROL_KINDS = ("untrained", "wrong_model")


@dataclass(frozen=True)
class Group:
    """Results of one level and access: the unit of verdicts, of tables and of figures.

    Attributes:
        level: "utterance" or "speaker".
        access: "none" for the controls.
        results: those of the group; attacks with the strongest first, controls in the order of the run.
        featured: those of them that are shown first, in the same order.
        verdict: on the group, where there is one.
    """

    level: str
    access: str
    results: tuple[AttackResult, ...]
    featured: tuple[AttackResult, ...]
    verdict: LevelVerdict | None = None

    @property
    def others(self) -> tuple[AttackResult, ...]:
        """The results that are not featured."""
        return tuple(result for result in self.results if result not in self.featured)

    @property
    def best(self) -> AttackResult:
        """The attack that the verdict rests on, or the strongest."""
        named = [result for result in self.results if self.verdict and result.name == self.verdict.attack]
        return (*named, *self.results)[0]

    @property
    def sizes(self) -> list[str]:
        """How many units are judged, in words; more than one entry where the results differ in it."""
        return list(dict.fromkeys(f"{r.n_members} members, {r.n_nonmembers} non-members" for r in self.results))

    @property
    def detectable(self) -> float | None:
        """The AUROC that every attack of the group would have been found at with 80 % power."""
        known = [one.smallest_detectable_auroc for one in self.results if one.smallest_detectable_auroc is not None]
        return max(known, default=None)

    def place(self, result: AttackResult) -> int | None:
        """Which colour and dashes a featured result has in the figures, from 0; None for the others."""
        return self.featured.index(result) if result in self.featured else None


def attack_groups(report: AuditReport) -> tuple[Group, ...]:
    """The attacks, in the order of `LEVELS` and `ACCESSES`.

    Featured are the strongest `MAX_FEATURED` of a group, and the one that its verdict names.
    """
    verdicts = _verdicts(report)
    groups = []
    for level, access, results in _by_level_and_access(report.attacks):
        verdict = verdicts.get((level, access))
        ordered = sorted(results, key=strength, reverse=True)
        featured = [
            result
            for rank, result in enumerate(ordered)
            if rank < MAX_FEATURED or (verdict is not None and result.name == verdict.attack)
        ]
        groups.append(Group(level, access, tuple(ordered), tuple(featured), verdict))
    return tuple(groups)


def control_groups(report: AuditReport) -> tuple[Group, ...]:
    """The controls by level.

    Featured are all of them, or, where they are many, all but the controls of attacks that are not the best of their
    level and access.
    """
    verdicts = _verdicts(report)
    behind = {
        (f"{kind}_{attack.name}", attack.level)
        for group in attack_groups(report)
        for attack in group.results
        for kind in CONTROL_KINDS
        if attack is not group.best
    }
    groups = []
    for level, access, results in _by_level_and_access(report.controls):
        most = [one for one in results if len(results) <= MAX_CONTROLS or (one.name, one.level) not in behind]
        groups.append(Group(level, access, results, tuple(most), verdicts.get((level, access))))
    return tuple(groups)


def _verdicts(report: AuditReport) -> dict[tuple[str, str], LevelVerdict]:
    return {(verdict.level, verdict.access): verdict for verdict in report.verdict.by_level_and_access}


def _by_level_and_access(results: Sequence[AttackResult]) -> Iterator[tuple[str, str, tuple[AttackResult, ...]]]:
    for level in LEVELS:
        for access in ACCESSES:
            of_group = tuple(one for one in results if (one.level, one.access) == (level, access))
            if of_group:
                yield level, access, of_group


HEADLINE_FPR = 0.01


def headline_rate(rates: Sequence[TprAtFpr]) -> TprAtFpr | None:
    """The rate nearest to 1 %, by its logarithm; None where there are none."""
    return min(rates, key=lambda rate: abs(math.log(rate.fpr / HEADLINE_FPR)), default=None)


def headline_tpr_in_turn(result: AttackResult) -> float | None:
    """The mean true positive rate there, over the shadow models in the target's place; None where there are none."""
    turns: EachAsTarget | None = result.in_turn
    rate = headline_rate(result.tpr_at_fpr)
    if turns is None or rate is None:
        return None
    return turns.tpr_mean[result.tpr_at_fpr.index(rate)]
