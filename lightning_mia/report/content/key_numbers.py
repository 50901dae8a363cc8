"""The few numbers that support the verdict, with two decimals."""

from dataclasses import dataclass

from lightning_mia.evaluation.blind_verdict import MAX_BLIND_AUROC
from lightning_mia.evaluation.reasons import decisive_p_value
from lightning_mia.evaluation.results import AttackResult, headline_rate
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.numbers import (
    NO_INTERVAL,
    decimal,
    interval_clause,
    lower_bound,
    p_value,
    percent,
    percent_interval,
    signed,
)


@dataclass(frozen=True)
class KeyNumber:
    """A number with its label and details, as text."""

    number: str
    label: str
    detail: str


def key_numbers(report: AuditReport) -> tuple[KeyNumber, ...]:
    """Choose the numbers next to the verdict.

    - Leak: AUROC and TPR of the decisive attack, its margin over the wrong model, and the blind baseline.
    - No evidence: the same, with the smallest detectable AUROC for the margin.
    - Not assessable because of an attack: as for a leak.
    - Not assessable because of the split: the blind baseline and its upper bound.
    """
    status = report.verdict.status
    decisive = [verdict for verdict in report.verdict.by_level_and_access if verdict.status == status][:1]
    if not report.attacks or (status == "not_assessable" and not any(verdict.attack for verdict in decisive)):
        return _blind_numbers(report)
    attack = decisive_attack(report)
    numbers = [
        KeyNumber(
            decimal(attack.auroc, 2),
            f"AUROC of {attack.name}",
            f"{attack.family}; {interval_clause(attack.auroc_ci95, 2)}; corrected p "
            f"{p_value(attack.p_value_corrected)}",
        ),
        *_rate(attack),
    ]
    if status != "no_evidence" and attack.versus_wrong_model:
        numbers.append(_margin(attack))
    elif attack.smallest_detectable_auroc is not None:
        numbers.append(
            KeyNumber(
                decimal(attack.smallest_detectable_auroc, 2),
                "smallest detectable AUROC",
                "80 % power with this design; a weaker leak may go unnoticed",
            )
        )
    blind = report.blind(attack.level)
    return (*numbers, *([_blind_auroc(blind)] if blind else []))


def decisive_attack(report: AuditReport) -> AttackResult:
    """Return the attack on which the verdict rests.

    It is that of the first family with the overall status. If that has none: the attack with the smallest corrected
    p-value, then with the AUROC furthest from chance; of a leak, among the attacks whose family leaks.
    """
    verdicts = [verdict for verdict in report.verdict.by_level_and_access if verdict.status == report.verdict.status]
    if verdicts and verdicts[0].attack:
        first = verdicts[0]
        decisive = [attack for attack in report.attacks if (attack.name, attack.level) == (first.attack, first.level)]
        if decisive:
            return decisive[0]
    leaking = {verdict.family for verdict in verdicts if verdict.status == "leak"}
    attacks = [attack for attack in report.attacks if attack.family in leaking] or report.attacks

    def evidence(attack: AttackResult) -> tuple[float, float]:
        return (decisive_p_value(attack), -abs(attack.auroc - 0.5))

    return min(attacks, key=evidence)


def _rate(attack: AttackResult) -> list[KeyNumber]:
    """Return the TPR; none if the attack works at the other end of its scale."""
    rate = headline_rate(attack.tpr_at_fpr)
    if rate is None or (attack.two_sided and attack.auroc < 0.5):
        return []
    interval = percent_interval(rate.tpr_ci95)
    detail = f"members found; {interval if interval == NO_INTERVAL else f'95 % interval {interval}'}"
    if not rate.resolvable:
        detail += "; a rough figure, decided by fewer than 10 non-members"
    return [KeyNumber(percent(rate.tpr), f"TPR at FPR {percent(rate.fpr)}", detail)]


def _margin(attack: AttackResult) -> KeyNumber:
    difference = attack.versus_wrong_model
    assert difference is not None
    return KeyNumber(
        signed(difference.value, 2),
        "margin over the wrong model",
        f"distance from 0.5 beyond that of the wrong model ({lower_bound(difference.lower95, 2)}); on the wrong model, "
        f"the attack has AUROC {decimal(difference.auroc_wrong_model, 2)}",
    )


def _blind_auroc(blind: AttackResult) -> KeyNumber:
    return KeyNumber(
        decimal(blind.auroc, 2),
        "AUROC of the blind baseline",
        f"{blind.level} level, no model; {interval_clause(blind.auroc_ci95, 2)}; p {p_value(decisive_p_value(blind))}",
    )


def _blind_numbers(report: AuditReport) -> tuple[KeyNumber, ...]:
    """Return AUROC and upper bound of the blind baseline."""
    numbers = []
    for control in report.controls:
        if control.name != "blind":
            continue
        numbers.append(_blind_auroc(control))
        if control.level in report.blind_upper95:
            limit = "" if report.split.drawn else f"; a user-supplied split may have at most {MAX_BLIND_AUROC:.2f}"
            numbers.append(
                KeyNumber(
                    decimal(report.blind_upper95[control.level], 2),
                    "upper bound of that AUROC",
                    f"{control.level} level; one-sided, 95 %{limit}",
                )
            )
    return tuple(numbers)
