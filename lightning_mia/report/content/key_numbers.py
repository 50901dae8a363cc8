"""The two or three numbers that carry a verdict."""

from dataclasses import dataclass

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.verdict import MAX_BLIND_AUROC
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.numbers import decimal, interval, p_value, signed


@dataclass(frozen=True)
class KeyNumber:
    """A number with what it is the number of, and what stands beside it."""

    number: str
    label: str
    detail: str


def key_numbers(report: AuditReport) -> tuple[KeyNumber, ...]:
    """Choose the numbers that a reader of the verdict wants first.

    - A leak: the strongest attack, how far it goes beyond the wrong model, and the blind baseline.
    - No evidence: the strongest attack, what would have been found, and the blind baseline.
    - Not assessable: the blind baseline and its upper bound.
    """
    if report.verdict.status == "not_assessable" or not report.attacks:
        return _of_blind(report)
    attack = decisive_attack(report)
    numbers = [
        KeyNumber(
            decimal(attack.auroc),
            f"AUROC of {attack.name}",
            f"{attack.level} level, {attack.access}; 95 % interval {interval(attack.auroc_ci95)}; "
            f"corrected p {p_value(attack.p_value_corrected)}",
        )
    ]
    if report.verdict.status == "leak" and attack.versus_wrong_model:
        numbers.append(_beyond_wrong_model(attack))
    elif attack.smallest_detectable_auroc is not None:
        numbers.append(
            KeyNumber(
                decimal(attack.smallest_detectable_auroc),
                "smallest AUROC that would show",
                "found with 80 % power by this design; a weaker leak stays unseen",
            )
        )
    blind = report.blind(attack.level)
    return (*numbers, *([_blind_auroc(blind)] if blind else []))


def decisive_attack(report: AuditReport) -> AttackResult:
    """The attack that the verdict rests on: that of the first verdict with its status.

    If it rests on none: the attack with the smallest corrected p-value, then the AUROC furthest from chance; where
    there is a leak, of the attacks whose level and access leak.
    """
    verdicts = [one for one in report.verdict.by_level_and_access if one.status == report.verdict.status]
    if verdicts:
        of_first = [one for one in report.attacks if (one.level, one.access) == (verdicts[0].level, verdicts[0].access)]
        named = [one for one in of_first if one.name == verdicts[0].attack]
        if named:
            return named[0]
    leaking = {(v.level, v.access) for v in verdicts if v.status == "leak"}
    attacks = [attack for attack in report.attacks if (attack.level, attack.access) in leaking] or report.attacks

    def evidence(attack: AttackResult) -> tuple[float, float]:
        p = attack.p_value if attack.p_value_corrected is None else attack.p_value_corrected
        return (p, -abs(attack.auroc - 0.5))

    return min(attacks, key=evidence)


def _beyond_wrong_model(attack: AttackResult) -> KeyNumber:
    difference = attack.versus_wrong_model
    assert difference is not None
    return KeyNumber(
        signed(difference.value),
        "beyond the wrong model",
        f"at least {signed(difference.lower95)}; the same attack on a model trained on neither side reaches "
        f"{decimal(difference.auroc_wrong_model)}",
    )


def _blind_auroc(blind: AttackResult) -> KeyNumber:
    return KeyNumber(
        decimal(blind.auroc),
        "AUROC of the blind baseline",
        f"{blind.level} level, no model; 95 % interval {interval(blind.auroc_ci95)}; p {p_value(blind.p_value)}",
    )


def _of_blind(report: AuditReport) -> tuple[KeyNumber, ...]:
    """Per level the blind baseline's AUROC and its bound."""
    numbers = []
    for control in report.controls:
        if control.name != "blind":
            continue
        numbers.append(_blind_auroc(control))
        if control.level in report.blind_upper95:
            gate = (
                ""
                if report.split.drawn
                else f"; {MAX_BLIND_AUROC:.2f} is the most that a split brought by the user may have"
            )
            numbers.append(
                KeyNumber(
                    decimal(report.blind_upper95[control.level]),
                    "upper bound of that AUROC",
                    f"{control.level} level; one-sided, 95 %{gate}",
                )
            )
    return tuple(numbers)
