"""Values that the templates of page and Markdown share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lightning_mia.evaluation.dataset_inference import DatasetInference
from lightning_mia.evaluation.results import HEADLINE_FPR, AttackResult, LevelVerdict, headline_rate
from lightning_mia.evaluation.scores import ACCESSES, FAMILIES, LEVELS
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content import wording
from lightning_mia.report.content.access_row import access_row
from lightning_mia.report.content.advice import advice
from lightning_mia.report.content.attack_lines import attack_lines, suffixes
from lightning_mia.report.content.breakdown_text import speaker_notes, uncut_properties
from lightning_mia.report.content.data_protection import INTRODUCTION, data_protection
from lightning_mia.report.content.epsilon_text import epsilon_note, epsilon_rows
from lightning_mia.report.content.finding import finding
from lightning_mia.report.content.groups import Group, attack_groups, control_groups
from lightning_mia.report.content.key_numbers import key_numbers
from lightning_mia.report.content.meaning import meaning
from lightning_mia.report.content.protocol import limits, protocol
from lightning_mia.report.content.subject import subject
from lightning_mia.report.content.utility_text import utility_note, utility_rows

MAX_SPEAKERS = 100
"""Maximum number of speakers in the table of risks; `speakers.csv` has all."""


@dataclass(frozen=True)
class ExposureRow:
    """One attack of the positive control.

    Attributes:
        name: of the attack.
        level: "utterance" or "speaker".
        access: of the attack.
        results: one per exposure; None if it could not run.
    """

    name: str
    level: str
    access: str
    results: tuple[AttackResult | None, ...]


def template_context(report: AuditReport, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Collect everything that the templates show, except figures.

    Args:
        report: the report.
        names: pseudonym → name of the speakers, for a copy that shows names; None: names are not shown.
    """
    headlines = wording.BLIND_HEADLINES if report.is_blind_check else wording.HEADLINES
    rates = [rate for result in report.attacks if (rate := headline_rate(result.tpr_at_fpr))]
    attacks = attack_groups(report)
    return {
        "report": report,
        "show_names": names is not None,
        "names": names or {},
        "headline": headlines[report.verdict.status],
        "headlines": headlines,
        "subject": subject(report),
        "finding": finding(report),
        "access_row": access_row(report),
        "advice": advice(report),
        "data_protection": data_protection(report),
        "data_protection_introduction": INTRODUCTION,
        "private_files": wording.PRIVATE_FILES,
        "attack_lines": attack_lines(report.attacks),
        "suffixes": suffixes(report.attacks),
        "meaning": meaning(report),
        "limits": limits(report),
        "key_numbers": key_numbers(report),
        "attack_groups": attacks,
        "control_groups": control_groups(report),
        "best_rows": _best_rows(report, attacks),
        "headline_fpr": rates[0].fpr if rates else HEADLINE_FPR,
        "has_fleet": any(result.n_shadows or result.n_references for result in report.attacks),
        "compared_with": wording.compared_with(report),
        "has_queries": any(result.queries is not None for result in report.attacks),
        "fleet_health": _fleet_health(report),
        "dataset_inference": _by_level_and_access(report.dataset_inference),
        "speaker_notes": speaker_notes(report.speaker_risks),
        "max_speakers": MAX_SPEAKERS,
        "uncut": uncut_properties(report),
        "slices_by": [(by, list(parts)) for by, parts in groupby(report.slices or (), key=lambda part: part.by)],
        "epsilon_note": epsilon_note(report.epsilon_bounds),
        "epsilon_rows": epsilon_rows(report.epsilon_bounds),
        "utility_note": utility_note(report.utility),
        "utility_rows": utility_rows(report.utility),
        "exposure_rows": _exposure_rows(report),
        "published": [
            (figure, report.result(figure.attack, figure.level), report.blind(figure.level))
            for figure in report.published
        ],
        "skipped_reasons": Counter(recording.reason for recording in report.skipped).most_common(),
        "protocol": protocol(report),
    }


def _best_rows(report: AuditReport, attacks: Sequence[Group]) -> list[tuple[LevelVerdict, Group | None]]:
    """Pair each verdict with its attacks, in the order of all tables."""
    groups = {group.family: group for group in attacks}
    verdicts = sorted(report.verdict.by_level_and_access, key=lambda verdict: FAMILIES.index(verdict.family))
    return [(verdict, groups.get(verdict.family)) for verdict in verdicts]


def _fleet_health(report: AuditReport) -> list[tuple[str, float, float, float | None]]:
    """Return (metric, lowest, highest, target's) of the last values."""
    if report.fleet is None:
        return []
    of_target = next((model.health for model in report.provenance.models if model.name == "target"), {})
    return [
        (metric, lowest, highest, of_target[metric][-1] if metric in of_target else None)
        for metric, (lowest, highest) in report.fleet.health.items()
    ]


def _by_level_and_access(
    inferences: Sequence[DatasetInference],
) -> list[tuple[str, str, list[DatasetInference]]]:
    """Group by level and access, the smallest p-value first."""
    groups = []
    for level in LEVELS:
        for access in ACCESSES:
            group = [inference for inference in inferences if (inference.level, inference.access) == (level, access)]
            if group:
                groups.append((level, access, sorted(group, key=lambda test: (test.p_value, -abs(test.difference)))))
    return groups


def _exposure_rows(report: AuditReport) -> list[ExposureRow]:
    results = [{(result.name, result.level): result for result in exposure.results} for exposure in report.exposures]
    attacks = dict.fromkeys(
        (result.name, result.level, result.access) for by_key in results for result in by_key.values()
    )
    return [
        ExposureRow(name, level, access, tuple(by_key.get((name, level)) for by_key in results))
        for name, level, access in attacks
    ]
