"""What the attack that carries the verdict finds of each speaker and in each part of the challenge set."""

from dataclasses import replace

import numpy as np

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import EvaluationSettings
from lightning_mia.evaluation.slices import Cut, Slice, cut_by_word, cut_in_thirds, slices
from lightning_mia.evaluation.speaker_risk import SpeakerRisks, speaker_risks
from lightning_mia.report.audit_report import AuditReport, UnitFacts
from lightning_mia.report.content.breakdown import PROPERTIES, carrying_scores
from lightning_mia.report.content.groups import HEADLINE_FPR, headline_rate
from lightning_mia.report.content.key_numbers import strongest
from lightning_mia.report.files.speakers_csv import pseudonyms


def break_down(report: AuditReport) -> AuditReport:
    """Add slices and speakers to a report that has none yet.

    A report without attacks stays as it is, and so does one that is not assessable: there a figure of a speaker or of a
    slice would be read as a leak, though whatever spoils the whole may stand behind it.
    """
    if not report.attacks or report.verdict.status == "not_assessable":
        return report
    scores = carrying_scores(report)
    if report.slices is None and report.units:
        report = replace(report, slices=_slices(report, scores))
    if report.speaker_risks is None:
        report = replace(report, speaker_risks=_speakers(report, scores))
    return report


def _speakers(report: AuditReport, scores: Scores) -> SpeakerRisks:
    rate = headline_rate(strongest(report).tpr_at_fpr)
    risks = speaker_risks(scores, rate.fpr if rate else HEADLINE_FPR)
    names = pseudonyms(scores)
    return replace(risks, speakers=tuple(replace(one, speaker=names[one.speaker]) for one in risks.speakers))


def _slices(report: AuditReport, scores: Scores) -> tuple[Slice, ...]:
    facts = {unit.unit_id: unit for unit in report.units if unit.level == scores.level}
    known = [facts[unit] for unit in scores.unit_ids.tolist() if unit in facts]
    if len(known) < len(scores):
        return ()  # the table is of other units
    settings = report.provenance.settings
    defaults = EvaluationSettings()
    return slices(
        scores,
        _cuts(known),
        n_bootstraps=int(settings.get("n_bootstraps", defaults.n_bootstraps)),
        seed=int(settings.get("seed", defaults.seed)),
    )


def _cuts(units: list[UnitFacts]) -> list[Cut]:
    duration, level, gender, accent = PROPERTIES
    return [
        cut_in_thirds(duration, np.array([unit.duration_s for unit in units]), 2, "s"),
        cut_in_thirds(level, np.array([unit.level_dbfs for unit in units]), 0, "dBFS"),
        cut_by_word(gender, [unit.gender for unit in units]),
        cut_by_word(accent, [unit.accent for unit in units]),
    ]
