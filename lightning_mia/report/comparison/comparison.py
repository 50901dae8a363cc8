"""Comparison of finished runs as data."""

from dataclasses import dataclass

from lightning_mia.evaluation.paired import PairedDifference
from lightning_mia.evaluation.results import AttackResult, LevelVerdict
from lightning_mia.evaluation.scores import Family
from lightning_mia.report.audit_report import AuditReport


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        label: shortest end of its path that is unique.
        report: of the run.
        paired: whether it has the split of the first run, so that differences have intervals.
    """

    label: str
    report: AuditReport
    paired: bool


@dataclass(frozen=True)
class AurocDifference:
    """Difference of two AUROCs.

    Attributes:
        value: AUROC minus that of the first run.
        paired: the difference with its interval; None if the runs have different splits.
    """

    value: float
    paired: PairedDifference | None


@dataclass(frozen=True)
class ComparedAttack:
    """One attack or control in every run.

    Attributes:
        name: of the attack.
        results: one per run; None if it did not run.
        differences: from the first run, one per further run; None if either result is missing.
    """

    name: str
    results: tuple[AttackResult | None, ...]
    differences: tuple[AurocDifference | None, ...]


@dataclass(frozen=True)
class ComparedGroup:
    """Attacks of one family, strongest first.

    Attributes:
        family: level, part and access; the access is "none" for the blind baseline.
        verdicts: one per run; None if the run has none for this family.
        attacks: the attacks.
    """

    family: Family
    verdicts: tuple[LevelVerdict | None, ...]
    attacks: tuple[ComparedAttack, ...]

    @property
    def title(self) -> str:
        """Heading of the family."""
        return f"{self.family}, blind baseline" if self.family.access == "none" else str(self.family)


@dataclass(frozen=True)
class Comparison:
    """Two or more runs and all their attacks."""

    runs: tuple[ComparedRun, ...]
    groups: tuple[ComparedGroup, ...]

    @property
    def unpaired(self) -> tuple[ComparedRun, ...]:
        """Runs whose split differs from that of the first."""
        return tuple(run for run in self.runs if not run.paired)
