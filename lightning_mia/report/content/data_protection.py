"""Questions of a data protection impact assessment that the figures answer.

EDPB Opinion 28/2024 calls a model anonymous only if the likelihood of extracting personal data of those whose data
trained it, and of obtaining them by queries, is insignificant for all means reasonably likely to be used, and asks for
documented tests. Membership inference is one of these tests.
"""

import math
from collections.abc import Iterator, Sequence

from lightning_mia.evaluation.scores import ACCESSES
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.speaker_risk import SpeakerRisk
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.access_row import access_row
from lightning_mia.report.content.epsilon_text import rounded_down
from lightning_mia.report.content.finding import finding
from lightning_mia.report.content.numbers import count, decimal

Answer = tuple[str, str]  # question and answer

INTRODUCTION = (
    "EDPB Opinion 28/2024 asks whether personal data of those whose data trained a model can be obtained from it by "
    "means reasonably likely to be used, and for documented tests. This audit is one of them. It is no legal "
    "assessment."
)


def data_protection(report: AuditReport) -> tuple[Answer, ...]:
    """Return questions and answers; empty in a blind check."""
    if report.is_blind_check:
        return ()
    return tuple((question, " ".join(sentences)) for question, sentences in _answers(report))


def _answers(report: AuditReport) -> Iterator[tuple[str, list[str]]]:
    yield "Does the model reveal whose recordings trained it?", list(finding(report))
    yield "By which means, and by whom?", list(_means(report))
    yield "Could the test have missed it?", list(_sensitivity(report))
    yield "Is the result due to the choice of recordings?", list(_confounds(report))
    if report.speaker_risks is not None and report.speaker_risks.speakers:
        yield "Are some persons at higher risk?", [_persons(report.speaker_risks.speakers)]
    if report.privacy is not None or report.epsilon_bounds:
        yield "Is there a proven bound?", list(_bounds(report))
    yield (
        "What do these figures not answer?",
        [
            "Whether what was said, or a voice, can be reconstructed from the model; whether attributes of a speaker "
            "can be inferred; whether the processing has a legal basis; and what attacks that were not run would find."
        ],
    )


def _means(report: AuditReport) -> Iterator[str]:
    steps = access_row(report)
    yield "; ".join(f"{step.access} ({step.means}): {step.text}" for step in steps).capitalize() + "."
    n_shadows = max((attack.n_shadows for attack in report.attacks), default=0)
    if n_shadows:
        pool = report.fleet.pool if report.fleet else "challenge"
        held = "recordings of the same kind" if pool == "auxiliary" else "halves of the evaluated recordings themselves"
        yield f"Some attacks had {count(n_shadows)} shadow models, trained on {held}."
    queries = [attack.queries for attack in report.attacks if attack.queries is not None]
    if queries:
        yield f"The attacks submitted at most {count(max(queries))} waveforms per recording."


def _sensitivity(report: AuditReport) -> Iterator[str]:
    accesses = sorted({attack.access for attack in report.attacks}, key=ACCESSES.index)
    yield f"{count(len(report.attacks))} attacks were run ({', '.join(accesses)})."
    known = [a.smallest_detectable_auroc for a in report.attacks if a.smallest_detectable_auroc is not None]
    if known and max(known) < 1:
        yield (
            f"With {count(report.split.n_members)} members and {count(report.split.n_nonmembers)} non-members, every "
            f"one of them detects an AUROC of {decimal(max(known), 2)} with 80 % power; weaker leaks may go unnoticed."
        )
    else:
        yield "The design detects no AUROC below 1 with 80 % power."
    if report.exposures:
        yield "A positive control was run: see its section."
    elif report.verdict.status != "leak":
        yield "No positive control was run."


def _confounds(report: AuditReport) -> Iterator[str]:
    yield (
        f"Members were {report.split.origin}."
        if report.split.drawn
        else "Members and non-members were supplied by the user; nobody drew them at random for this audit."
    )
    blind = report.blind(report.split.level)
    if blind:
        yield f"A classifier without any model has AUROC {decimal(blind.auroc, 2)} on them (chance 0.50)."
    if any(attack.versus_wrong_model for attack in report.attacks):
        yield "Every attack was repeated on a model trained on neither; a leak must exceed that."
    else:
        yield "No attack was repeated on a model trained on neither."


def _persons(risks: Sequence[SpeakerRisk]) -> str:
    marked, n = sum(risk.p_value_corrected < ALPHA for risk in risks), count(len(risks))
    if marked:
        return (
            f"{count(marked)} of {n} speakers stand out after correction for their number (the table has pseudonyms)."
        )
    if min(risk.smallest_p_corrected for risk in risks) >= ALPHA:
        return f"Not known: with so few recordings of each, none of {n} speakers could have stood out."
    return f"None of {n} speakers stands out after correction for their number."


def _bounds(report: AuditReport) -> Iterator[str]:
    if report.privacy is not None and report.privacy.epsilon is not None:
        yield (
            f"The noise of the training proves ε ≤ {decimal(math.ceil(100 * report.privacy.epsilon) / 100, 2)} for one "
            f"recording, at δ = {report.privacy.delta:g}."
        )
    else:
        yield "No: the training had no differential privacy."
    bounds = [bound for bound in report.epsilon_bounds if bound.method == "one_run"]
    if bounds:
        largest = max(bound.epsilon_corrected for bound in bounds)
        yield (
            f"The attacks show that ε is at least {rounded_down(largest)} (95 % confidence, all attacks together)."
            if largest > 0
            else "The attacks do not show that ε is above 0."
        )
