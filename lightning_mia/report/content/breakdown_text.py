"""Notes on per-speaker risks and slices."""

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.speaker_risk import MIN_MEMBERS, MIN_OTHERS, SpeakerRisks
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.key_numbers import decisive_attack
from lightning_mia.report.content.numbers import count, p_value
from lightning_mia.report.files.speakers_csv import pseudonyms

PROPERTIES = ("duration", "level of the recording", "gender", "accent")
"""Properties that the challenge set is sliced by, if known and not constant."""


def decisive_scores(report: AuditReport) -> Scores:
    """Return the scores of the attack that decides the verdict."""
    return report.scores_of(decisive_attack(report))


def speaker_pseudonyms(report: AuditReport) -> dict[str, str]:
    """Return name → pseudonym; empty without per-speaker risks."""
    risks = report.speaker_risks
    if risks is None:
        return {}
    return pseudonyms(next(scores for scores in report.scores if scores.key == (risks.attack, risks.level)))


def uncut_properties(report: AuditReport) -> list[str]:
    """Return the properties that were not used for slicing."""
    cut = {part.by for part in report.slices or ()}
    return [name for name in PROPERTIES if name not in cut]


def speaker_notes(risks: SpeakerRisks | None) -> tuple[str, ...]:
    """Explain the AUROCs, p-values and marks of the table."""
    if risks is None:
        return ()
    notes = _omitted(risks)
    if not risks.speakers:
        return tuple(notes)
    notes.append(
        "AUROC: probability that a member of this speaker scores above a non-member of any speaker. It is no evidence "
        "by itself, since a voice may score high without being in the training data."
    )
    notes += _comparisons(risks)
    if risks.two_sided:
        notes.append("The sign of the score is not known in advance: scores are flipped if needed; p is two-sided.")
    n, n_marked = len(risks.speakers), sum(risk.p_value_corrected < ALPHA for risk in risks.speakers)
    notes.append(
        f"{_speakers(n)} compared, and some may stand out by chance. Only those with p < 0.05 after correction over "
        f"all {count(n)} (Holm) are marked: {count(n_marked)} here. Intervals are not corrected."
    )
    smallest = min(risk.smallest_p_corrected for risk in risks.speakers)
    if smallest >= ALPHA:
        units = "recordings" if risks.level == "utterance" else "speakers"
        notes.append(
            f"With so few {units}, no speaker can be marked: even a perfect separation would have a corrected p of "
            f"{p_value(smallest)}."
        )
    return tuple(notes)


def _comparisons(risks: SpeakerRisks) -> list[str]:
    n_within = sum(risk.compared_with == "own_nonmembers" for risk in risks.speakers)
    notes = []
    if n_within:
        of_speakers = "" if n_within == len(risks.speakers) else f" of {count(n_within)} speakers"
        notes.append(
            f"The p-values{of_speakers} compare a speaker's members with the same speaker's non-members (exact "
            "Mann–Whitney test), so the voice itself cannot explain a difference."
        )
    if n_within < len(risks.speakers):
        subject = "Those of the others" if n_within else "The p-values"
        notes.append(
            f"{subject} rank the speaker among the non-member speakers by mean score; this cannot rule out that the "
            "voice scores high for reasons other than training."
        )
    return notes


def _omitted(risks: SpeakerRisks) -> list[str]:
    notes = []
    if risks.n_too_few:
        recordings = f"fewer than {MIN_MEMBERS} member recordings or " if risks.level == "utterance" else ""
        notes.append(
            f"{_speakers(risks.n_too_few)} omitted: {recordings}fewer than {MIN_OTHERS} non-member speakers for "
            "comparison."
        )
    if risks.n_without and risks.level == "utterance":
        notes.append(f"{_speakers(risks.n_without)} omitted: no member recordings.")
    return notes


def _speakers(n: int) -> str:
    return f"{count(n)} speaker{' was' if n == 1 else 's were'}"
