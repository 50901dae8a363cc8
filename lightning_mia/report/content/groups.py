"""Results grouped by family: level, queried recordings and access."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_mia.evaluation.results import AttackResult, EachAsTarget, LevelVerdict, headline_rate
from lightning_mia.evaluation.scores import FAMILIES, Family, group_by_family
from lightning_mia.evaluation.verdict import strength
from lightning_mia.report.audit_report import AuditReport

MAX_FEATURED = 5
"""Maximum number of featured attacks per family: more curves in one figure would hide each other."""

MAX_CONTROLS = 12
"""Maximum number of controls per level that are all featured; of more, only those of the best attacks are."""

CONTROL_KINDS = ("untrained", "wrong_model", "sibling")


@dataclass(frozen=True)
class Group:
    """Results of one family.

    Attributes:
        family: level, part and access; the access is "none" for the controls.
        results: attacks by descending strength, controls in the order of the run.
        featured: results that are shown first, in the same order.
        verdict: on the group, if any.
    """

    family: Family
    results: tuple[AttackResult, ...]
    featured: tuple[AttackResult, ...]
    verdict: LevelVerdict | None = None

    @property
    def level(self) -> str:
        """Level of the family."""
        return self.family.level

    @property
    def access(self) -> str:
        """Access of the family."""
        return self.family.access

    @property
    def path(self) -> str:
        """Level and access as a tag of figures; trained recordings are apart."""
        return f"{self.level}/{self.access}" + ("/trained" if self.family.part == "trained" else "")

    @property
    def others(self) -> tuple[AttackResult, ...]:
        """Results that are not featured."""
        return tuple(result for result in self.results if result not in self.featured)

    @property
    def best(self) -> AttackResult:
        """Attack on which the verdict rests, or else the strongest."""
        decisive = [result for result in self.results if self.verdict and result.name == self.verdict.attack]
        return (*decisive, *self.results)[0]

    @property
    def sizes(self) -> list[str]:
        """Numbers of members and non-members as text, without duplicates."""
        return list(dict.fromkeys(f"{r.n_members} members, {r.n_nonmembers} non-members" for r in self.results))

    @property
    def detectable(self) -> float | None:
        """Smallest AUROC that every attack detects with 80 % power."""
        known = [result.smallest_detectable_auroc for result in self.results]
        return max((auroc for auroc in known if auroc is not None), default=None)

    def series(self, result: AttackResult) -> int | None:
        """Colour index of a featured result; None for others."""
        return self.featured.index(result) if result in self.featured else None


def attack_groups(report: AuditReport) -> tuple[Group, ...]:
    """Group the attacks, in the order of `LEVELS`, `PARTS` and `ACCESSES`.

    Featured are the strongest `MAX_FEATURED` of a group, and the one that its verdict rests on.
    """
    verdicts = _verdicts(report)
    groups = []
    for family, results in by_family(report.attacks).items():
        verdict = verdicts.get(family)
        ordered = sorted(results, key=strength, reverse=True)
        featured = [
            result
            for rank, result in enumerate(ordered)
            if rank < MAX_FEATURED or (verdict is not None and result.name == verdict.attack)
        ]
        groups.append(Group(family, tuple(ordered), tuple(featured), verdict))
    return tuple(groups)


def control_groups(report: AuditReport) -> tuple[Group, ...]:
    """Group the controls by level and part.

    Featured are all of them, unless there are more than `MAX_CONTROLS`: then the controls of attacks that are not the
    best of their family are left out.
    """
    verdicts = _verdicts(report)
    of_weaker_attacks = {
        (f"{kind}_{attack.name}", attack.level)
        for group in attack_groups(report)
        for attack in group.results
        for kind in CONTROL_KINDS
        if attack is not group.best
    }
    groups = []
    for family, results in by_family(report.controls).items():
        featured = [
            result
            for result in results
            if len(results) <= MAX_CONTROLS or (result.name, result.level) not in of_weaker_attacks
        ]
        groups.append(Group(family, tuple(results), tuple(featured), verdicts.get(family)))
    return tuple(groups)


def by_family(results: Sequence[AttackResult]) -> dict[Family, list[AttackResult]]:
    """Group results by family, in the order of the report."""
    groups = group_by_family(results)
    return {family: groups[family] for family in FAMILIES if family in groups}


def _verdicts(report: AuditReport) -> dict[Family, LevelVerdict]:
    return {verdict.family: verdict for verdict in report.verdict.by_level_and_access}


def headline_tpr_in_turn(result: AttackResult) -> float | None:
    """Return the mean headline TPR over shadow models as targets."""
    as_targets: EachAsTarget | None = result.in_turn
    rate = headline_rate(result.tpr_at_fpr)
    if as_targets is None or rate is None:
        return None
    return as_targets.tpr_mean[result.tpr_at_fpr.index(rate)]
