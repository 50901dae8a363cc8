"""Why a run says nothing about its model, in plain words."""

from lightning_mia.evaluation.reasons import decisive_p_value
from lightning_mia.evaluation.results import LevelVerdict
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.verdict import MIN_SPEAKERS, is_reversed, separates, wrong_model_departs
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.numbers import count

SUBJECT = "This run cannot say whether the model gives away its training data"


def no_conclusion(report: AuditReport) -> str:
    """Explain a verdict that is not assessable, without a number of recordings found."""
    subject = "An audit on this split could not say anything about training" if report.is_blind_check else SUBJECT
    verdicts = [v for v in report.verdict.by_level_and_access if v.status == "not_assessable"]
    if not verdicts and report.target and not report.attacks:
        return f"{subject}: no attack was run."
    first = verdicts[0] if verdicts else LevelVerdict(report.split.level, "none", "not_assessable", "")
    return f"{subject}: {_cause(report, first)}."


def _cause(report: AuditReport, verdict: LevelVerdict) -> str:
    if verdict.attack is None:
        return _cause_in_split(report, verdict)
    family = [attack for attack in report.attacks if attack.family == verdict.family]
    question = [a for a in report.attacks if (a.level, a.part) == (verdict.level, verdict.part)]
    if not report.split.drawn and any(map(wrong_model_departs, question)):
        return "a model that was trained on neither of the two groups tells them apart, too"
    if any(separates(attack) and attack.versus_wrong_model is None for attack in family) and not report.split.drawn:
        return (
            "an attack tells the two groups apart, but no model that was trained on neither was tested, so that a "
            "difference between the recordings may be the reason"
        )
    if any(map(is_reversed, family)):
        return (
            "an attack tells the two groups apart, but in the direction opposite to that of training: the labels may "
            "be wrong, or the groups differ in something else"
        )
    if report.exposures:
        return "its attacks also miss recordings that the model was certainly trained on"
    return "for the reason given below"


def _cause_in_split(report: AuditReport, verdict: LevelVerdict) -> str:
    speakers = [attack.n_speakers for attack in report.attacks if attack.level == verdict.level]
    if verdict.level == "speaker" and speakers and min(speakers) < MIN_SPEAKERS:
        return f"it has {count(min(speakers))} speakers, and a statement about speakers takes at least {MIN_SPEAKERS}"
    blind = [control for control in report.controls if control.level == verdict.level]
    blind = [control for control in blind if control.name.startswith("blind")]
    if not blind:
        return "nobody checked that the two groups of recordings are alike, and this tool did not draw them"
    if any(decisive_p_value(control) < ALPHA for control in blind):
        return "the two groups of recordings can be told apart without any model"
    return "there are too few recordings to exclude that the two groups differ in more than training"
