"""Meaning and limits of a verdict, assembled from what was run."""

from lightning_mia.evaluation.scores import ACCESSES
from lightning_mia.evaluation.verdict import wrong_model_departs
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content import wording


def meaning(report: AuditReport) -> tuple[str, str]:
    """Explain the overall verdict, and what it does not show."""
    if report.is_blind_check:
        return wording.BLIND_MEANINGS[report.verdict.status]
    if report.verdict.status == "leak":
        return _leak(report), wording.LEAK_LIMITS
    if report.verdict.status == "no_evidence":
        return _no_evidence(report), wording.NO_EVIDENCE_LIMITS
    return wording.NOT_ASSESSABLE, wording.NOT_ASSESSABLE_LIMITS + _remedy(report)


def _leak(report: AuditReport) -> str:
    attacks = {attack.key: attack for attack in report.attacks}
    decisive = [verdict for verdict in report.verdict.by_level_and_access if verdict.status == "leak"][:1]
    attack = next((attacks.get((verdict.attack or "", verdict.level)) for verdict in decisive), None)
    sentences = [
        "At least one attack separated members from non-members better than chance (p < 0.05 from redraws of the "
        "split, corrected over all attacks)."
    ]
    if attack and attack.versus_wrong_model and not wrong_model_departs(attack):
        sentences.append(
            "It is significantly further from chance than the same attack on a model trained on neither members nor "
            "non-members, so that a difference between the recordings alone does not explain it."
        )
    elif report.split.drawn:
        sentences.append(
            f"The split was {report.split.origin}, so that no other difference between the recordings explains it."
        )
    if not report.split.drawn and attack and attack.versus_siblings is None:
        sentences.append(
            "The membership labels were supplied by the user, and no siblings were evaluated: the model may have been "
            "trained on other recordings of the members' source."
        )
    if not report.split.drawn:
        sentences += [wording.ASSUMPTIONS[kind] for kind in report.split.assignment]
    return " ".join(sentences)


def _no_evidence(report: AuditReport) -> str:
    n_attacks = len(report.attacks)
    tried = "The one attack of this run" if n_attacks == 1 else f"None of the {n_attacks} attacks of this run"
    verb = "did not separate" if n_attacks == 1 else "separated"
    compared = any(attack.versus_wrong_model for attack in report.attacks)
    conditions = "better than chance and better than on the wrong model" if compared else "better than chance"
    if any(attack.versus_siblings for attack in report.attacks):
        conditions += ", and from siblings"
    n_shadows = max((attack.n_shadows for attack in report.attacks), default=0)
    n_references = max((attack.n_references for attack in report.attacks), default=0)
    strength = f"with up to {n_shadows} shadow models" if n_shadows else "without shadow models"
    if n_references:
        strength = f"with {n_references} reference model{'' if n_references == 1 else 's'}"
    accesses = " and ".join(sorted({attack.access for attack in report.attacks}, key=ACCESSES.index))
    return f"{tried} ({accesses} access, {strength}) {verb} members from non-members {conditions}."


def _remedy(report: AuditReport) -> str:
    """Say what to do about a verdict that is not assessable."""
    decisive = [verdict for verdict in report.verdict.by_level_and_access if verdict.status == "not_assessable"][:1]
    if any(verdict.attack for verdict in decisive):  # the split is not the obstacle
        return wording.CLARIFY
    return wording.REDRAW if report.split.drawn else wording.DRAW_OR_MATCH
