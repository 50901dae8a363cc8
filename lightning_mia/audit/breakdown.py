"""Per-speaker risks and slices, for the decisive attack."""

from dataclasses import replace

import numpy as np

from lightning_mia.evaluation.results import HEADLINE_FPR, headline_rate
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.slices import Cut, Slice, cut_by_category, cut_in_thirds, slices
from lightning_mia.evaluation.speaker_risk import SpeakerRisks, speaker_risks
from lightning_mia.report.audit_report import AuditReport, UnitFacts
from lightning_mia.report.content.breakdown_text import PROPERTIES, decisive_scores
from lightning_mia.report.content.key_numbers import decisive_attack
from lightning_mia.report.files.speakers_csv import pseudonyms


def add_breakdown(report: AuditReport) -> AuditReport:
    """Add slices and per-speaker risks, unless the report has them.

    A report without attacks, or whose verdict is not assessable, is returned unchanged: a figure for one speaker or
    slice would be read as a leak, although a confound may explain it.
    """
    if not report.attacks or report.verdict.status == "not_assessable":
        return report
    scores = decisive_scores(report)
    if report.slices is None and report.units:
        report = replace(report, slices=_slices(report, scores))
    if report.speaker_risks is None:
        report = replace(report, speaker_risks=_speaker_risks(report, scores))
    return report


def _speaker_risks(report: AuditReport, scores: Scores) -> SpeakerRisks:
    """Compute the risks and replace names by pseudonyms."""
    rate = headline_rate(decisive_attack(report).tpr_at_fpr)
    risks = speaker_risks(scores, rate.fpr if rate else HEADLINE_FPR)
    pseudonym = pseudonyms(scores)
    return replace(risks, speakers=tuple(replace(risk, speaker=pseudonym[risk.speaker]) for risk in risks.speakers))


def _slices(report: AuditReport, scores: Scores) -> tuple[Slice, ...]:
    facts = {unit.unit_id: unit for unit in report.units if unit.level == scores.level}
    units = [facts[unit_id] for unit_id in scores.unit_ids.tolist() if unit_id in facts]
    if len(units) < len(scores):
        return ()  # units.csv describes other units
    settings = report.provenance.settings
    defaults = EvaluationSettings()
    return slices(
        scores,
        _cuts(units),
        n_bootstraps=int(settings.get("n_bootstraps", defaults.n_bootstraps)),
        seed=int(settings.get("seed", defaults.seed)),
    )


def _cuts(units: list[UnitFacts]) -> list[Cut]:
    duration, level, gender, accent = PROPERTIES
    return [
        cut_in_thirds(duration, np.array([unit.duration_s for unit in units]), 2, "s"),
        cut_in_thirds(level, np.array([unit.level_dbfs for unit in units]), 0, "dBFS"),
        cut_by_category(gender, [unit.gender for unit in units]),
        cut_by_category(accent, [unit.accent for unit in units]),
    ]
