"""Row of accesses: who could do this."""

from dataclasses import dataclass
from typing import Literal, get_args

from lightning_mia.evaluation.results import LevelVerdict
from lightning_mia.evaluation.scores import Access
from lightning_mia.evaluation.verdict import leaks_overall, separates
from lightning_mia.report.audit_report import AuditReport

Outcome = Literal["found", "not_found", "unclear", "not_tested"]

MEANS: dict[str, str] = {
    "black-box": "sends inputs, reads outputs",
    "open-weights": "also sets the encoder's mask",
    "grey-box": "also computes the training loss",
    "white-box": "also trains the model further",
}
"""Access → what the adversary can do, beyond the access before it."""

WHO: dict[str, str] = {
    "black-box": "Anyone who can send inputs to the model and read its outputs (black-box access)",
    "open-weights": "Anyone who can run the encoder and set its mask (open-weights access)",
    "grey-box": "Anyone who can compute the model's training loss (grey-box access)",
    "white-box": "Anyone who can train the model further (white-box access)",
}
"""Access → the adversary, as the subject of a sentence."""

OUTCOMES: dict[Outcome, str] = {
    "found": "finds members",
    "not_found": "found nothing",
    "unclear": "no conclusion",
    "not_tested": "not tested",
}
"""Outcome → its name below the pictogram."""


@dataclass(frozen=True)
class AccessStep:
    """One access of the row.

    Attributes:
        access: its name.
        means: what the adversary can do.
        outcome: what this run found with it, over all levels.
        text: the outcome in words.
    """

    access: str
    means: str
    outcome: Outcome
    text: str


def access_row(report: AuditReport) -> tuple[AccessStep, ...]:
    """Return all accesses from least to most; empty in a blind check."""
    if report.is_blind_check:
        return ()
    steps = []
    for access in get_args(Access):
        outcome = _outcome(report, [v for v in report.verdict.by_level_and_access if v.access == access])
        unexplained = any(attack.access == access and separates(attack) for attack in report.attacks)
        text = "nothing shown" if outcome == "not_found" and unexplained else OUTCOMES[outcome]
        steps.append(AccessStep(access, MEANS[access], outcome, text))
    return tuple(steps)


def leaking(report: AuditReport, verdict: LevelVerdict) -> bool:
    """Test whether a family is a leak that the overall verdict shares."""
    if report.verdict.status != "leak" or verdict.status != "leak":
        return False
    return verdict.p_value_overall is None or leaks_overall(verdict)


def stands_alone(report: AuditReport, verdict: LevelVerdict) -> bool:
    """Test whether a family is a leak, but not after correction."""
    return verdict.status == "leak" and not leaking(report, verdict)


def _outcome(report: AuditReport, verdicts: list[LevelVerdict]) -> Outcome:
    if any(leaking(report, verdict) for verdict in verdicts):
        return "found"
    statuses = {verdict.status for verdict in verdicts}
    if statuses & {"leak", "not_assessable"}:
        return "unclear"
    return "not_found" if statuses else "not_tested"
