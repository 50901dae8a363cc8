"""What has to be said beside the figures of speakers and slices, a sentence each."""

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.speaker_risk import MIN_MEMBERS, MIN_OTHERS, SpeakerRisks
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.key_numbers import decisive_attack
from lightning_mia.report.content.numbers import count, p_value
from lightning_mia.report.files.speakers_csv import pseudonyms

ALPHA = 0.05


def speaker_notes(risks: SpeakerRisks | None) -> tuple[str, ...]:
    """What the figures are, what they were compared with, and how many comparisons there were."""
    if risks is None:
        return ()
    notes = [*_left_out(risks)]
    if not risks.speakers:
        return tuple(notes)
    notes.append(
        "AUROC: how probably one of the speaker's members scores above a non-member of any speaker. It is no evidence "
        "on its own, as a voice may score high whether trained on or not."
    )
    notes += _evidence(risks)
    if risks.two_sided:
        notes.append("The sign of the score is not known beforehand: it is turned where needed, and p is two-sided.")
    n, n_marked = len(risks.speakers), sum(one.p_value_corrected < ALPHA for one in risks.speakers)
    notes.append(
        f"{_speakers(n)} compared, and of many some stand out by chance: only those with a p below .05 after "
        f"correction over all {count(n)} (Holm) are marked, here {count(n_marked)}. Intervals are not corrected."
    )
    smallest = min(one.smallest_p_corrected for one in risks.speakers)
    if smallest >= ALPHA:
        units = "recordings" if risks.level == "utterance" else "speakers"
        notes.append(
            f"With so few {units} no speaker can be marked, however well found: a perfect separation would have a "
            f"corrected p of {p_value(smallest)}."
        )
    return tuple(notes)


def uncut(report: AuditReport) -> list[str]:
    """Properties that the challenge set was not cut by."""
    cut = {one.by for one in report.slices or ()}
    return [name for name in PROPERTIES if name not in cut]


def _evidence(risks: SpeakerRisks) -> list[str]:
    within = sum(one.compared_with == "own_nonmembers" for one in risks.speakers)
    notes = []
    if within:
        whom = "" if within == len(risks.speakers) else f" of {count(within)} speakers"
        notes.append(
            f"The p-values{whom} compare a speaker's members with the same speaker's non-members (Mann and Whitney, "
            "exact), so that the voice itself cannot make the difference."
        )
    if within < len(risks.speakers):
        whom = "The p-values" if not within else "Those of the others"
        notes.append(
            f"{whom} count the non-member speakers who score as high on average; a voice that scores high for another "
            "reason than training cannot be told apart there."
        )
    return notes


def _left_out(risks: SpeakerRisks) -> list[str]:
    notes = []
    if risks.n_too_few:
        fewer = f"fewer than {MIN_MEMBERS} member recordings or" if risks.level == "utterance" else ""
        notes.append(
            f"{_speakers(risks.n_too_few)} left out: {fewer} fewer than {MIN_OTHERS} non-member speakers to compare "
            "with.".replace("  ", " ")
        )
    if risks.n_without and risks.level == "utterance":
        notes.append(f"{_speakers(risks.n_without)} left out: no members, and so no risk to tell of.")
    return notes


def _speakers(n: int) -> str:
    return f"{count(n)} speaker{' was' if n == 1 else 's were'}"


PROPERTIES = ("duration", "level of the recording", "gender", "accent")
"""What the challenge set is cut by, where it is known and varies."""


def decisive_scores(report: AuditReport) -> Scores:
    """The scores of the attack that carries the verdict."""
    return report.scores_of(decisive_attack(report))


def speaker_pseudonyms(report: AuditReport) -> dict[str, str]:
    """Name → pseudonym of the speakers of the attack that carries the verdict."""
    return pseudonyms(decisive_scores(report))
