"""The verdict in plain words, from the same figures.

A number of recordings found is given only if enough non-members decide it, its interval says something, and the attack
works in its expected direction. Otherwise the sentence says what cannot be said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning_mia.evaluation.results import AttackResult, LevelVerdict, TprAtFpr, has_interval, headline_rate
from lightning_mia.evaluation.scores import FAMILIES, Family
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.verdict import separates
from lightning_mia.report.audit_report import AuditReport, Pool
from lightning_mia.report.content.access_row import WHO, leaking, stands_alone
from lightning_mia.report.content.key_numbers import decisive_attack
from lightning_mia.report.content.no_conclusion import no_conclusion
from lightning_mia.report.content.numbers import count, of_hundred, one_in

MEMBERS = {
    Family("utterance", "", "none"): "training recordings",
    Family("speaker", "held_back", "none"): "speakers of the training data, by recordings that were not trained on",
    Family("speaker", "trained", "none"): "speakers of the training data, by recordings that were trained on",
    Family("speaker", "", "none"): "speakers of the training data",
}
OTHERS = {"utterance": "other recordings", "speaker": "other speakers"}
UPPER_BOUND = (
    "This is an auditor's upper bound: the attack had shadow models that were trained on halves of the same "
    "recordings, which an outsider does not hold."
)


@dataclass(frozen=True)
class Found:
    """How many members an attack finds, within what the figures support.

    Attributes:
        rate: true positive rate that may be quoted; None if none may.
        reason: why the rate at the usual false positive rate may not be quoted; empty if it may.
    """

    rate: TprAtFpr | None
    reason: str = ""


def finding(report: AuditReport) -> tuple[str, ...]:
    """Return the first sentences of the report.

    Signals alone may come from a model of anything, so that they speak of examples.
    """
    sentences = _sentences(report)
    if report.target or report.is_blind_check:
        return sentences
    return tuple(sentence.replace("recording", "example") for sentence in sentences)


def _sentences(report: AuditReport) -> tuple[str, ...]:
    if report.is_blind_check:
        return (_split_finding(report),)
    if report.verdict.status == "not_assessable":
        return (no_conclusion(report), *_alone(report))
    if report.verdict.status == "leak":
        return (*_leaks(report), *_not_found(report))
    return (*_nothing(report), *_alone(report))


def found(attack: AttackResult) -> Found:
    """Choose the rate that may be quoted, at 1 % or the next larger false positive rate."""
    headline = headline_rate(attack.tpr_at_fpr)
    if headline is None:
        return Found(None, "How many of 100 it would find was not measured.")
    if attack.two_sided and attack.auroc < 0.5:
        return Found(None, "How many of 100 it would find is not known: members have the lower scores.")
    supported = [rate for rate in attack.tpr_at_fpr if rate.resolvable and has_interval(rate.tpr_ci95)]
    larger = sorted((rate for rate in supported if rate.fpr >= headline.fpr), key=lambda rate: rate.fpr)
    if headline in supported:
        return Found(headline)
    few = f"{count(attack.n_speakers)} speakers" if headline.resolvable else f"{count(attack.n_nonmembers)} others"
    reason = (
        f"How many it would find while naming only {one_in(headline.fpr)} wrongly cannot be said: only {few} were "
        "tested."
    )
    return Found(larger[0] if larger else None, reason)


def _leaks(report: AuditReport) -> Iterator[str]:
    """Yield a sentence per question: the least access that suffices, then more access."""
    verdicts = [verdict for verdict in report.verdict.by_level_and_access if leaking(report, verdict)]
    if not verdicts:
        verdicts = [_of_attack(decisive_attack(report))]
    for question in dict.fromkeys((verdict.level, verdict.part) for verdict in verdicts):
        same = sorted(
            (verdict for verdict in verdicts if (verdict.level, verdict.part) == question),
            key=lambda verdict: FAMILIES.index(verdict.family),
        )
        attacks = [attack for verdict in same if (attack := _decisive(report, verdict)) is not None]
        if attacks:
            yield from _least_access(report, attacks)


def _least_access(report: AuditReport, attacks: Sequence[AttackResult]) -> Iterator[str]:
    first, *others = attacks
    members, known = MEMBERS[first.family._replace(access="none")], found(first)
    who = WHO[first.access]
    noun, comma, way = members.partition(", ")
    tells = f"{who} can tell {noun} from {OTHERS[first.level]} {way + ', ' if comma else ''}better than by chance"
    if known.rate is None:
        yield f"{tells}. {known.reason}"
    elif known.rate.tpr_ci95[0] <= known.rate.fpr:
        yield (
            f"{tells}, but is not shown to find more than a guess would while naming {one_in(known.rate.fpr)} "
            f"{OTHERS[first.level]} wrongly: {_number(known.rate)}."
        )
    else:
        yield f"{who} could find {_found_of(known.rate, members, first.level)}."
    if known.rate is not None and known.reason:
        yield known.reason
    more = [_short(attack, known.rate) for attack in others]
    if more:
        sentence = "; ".join(more)
        yield f"{sentence[0].upper()}{sentence[1:]}."
    if any(attack.n_shadows for attack in attacks) and _pool(report) == "challenge":
        yield UPPER_BOUND if first.n_shadows else f"With more access: {UPPER_BOUND[0].lower()}{UPPER_BOUND[1:]}"


def _pool(report: AuditReport) -> Pool:
    """Return what the shadow models were trained on; signals alone come from halves of the units."""
    return report.fleet.pool if report.fleet else "challenge"


def _found_of(rate: TprAtFpr, members: str, level: str) -> str:
    """Say how many are found, how, and how many others are named wrongly.

    The way in which members are found follows their noun after a comma.
    """
    noun, comma, way = members.partition(", ")
    by_way = f" {way}" if comma else ""
    wrong = f"{one_in(rate.fpr)} {OTHERS[level]}"
    return f"{of_hundred(rate.tpr)} of 100 {noun}{by_way} while naming {wrong} wrongly ({_interval(rate)})"


def _number(rate: TprAtFpr) -> str:
    return f"{of_hundred(rate.tpr)} of 100 ({_interval(rate)})"


def _interval(rate: TprAtFpr) -> str:
    return "95 % interval {} to {}".format(*map(of_hundred, rate.tpr_ci95))


def _short(attack: AttackResult, like: TprAtFpr | None) -> str:
    rate = found(attack).rate
    if rate is None:
        return f"with {attack.access} access, better than by chance, too"
    at = "" if like is not None and like.fpr == rate.fpr else f", while naming {one_in(rate.fpr)} wrongly"
    return f"with {attack.access} access, {_number(rate)}{at}"


def _not_found(report: AuditReport) -> Iterator[str]:
    """Say with which access nothing was found, or nothing can be said."""
    verdicts = report.verdict.by_level_and_access
    several = len({(verdict.level, verdict.part) for verdict in verdicts}) > 1
    for status, sentence in (
        ("no_evidence", "Nothing was found {}."),
        ("not_assessable", "No conclusion is possible {}."),
    ):
        families = sorted((v.family for v in verdicts if v.status == status), key=FAMILIES.index)
        if families:
            yield sentence.format(_with_access(families, several))
    yield from _alone(report)


def _nothing(report: AuditReport) -> Iterator[str]:
    verdicts = [verdict for verdict in report.verdict.by_level_and_access if verdict.status == "no_evidence"]
    families = sorted((verdict.family for verdict in verdicts), key=FAMILIES.index)
    attacks = [attack for attack in report.attacks if not families or attack.family in families]
    families = families or sorted({attack.family for attack in attacks}, key=FAMILIES.index)
    if not attacks:
        yield "No attack was run, so nothing can be said about the model."
        return
    several = len({(family.level, family.part) for family in families}) > 1
    n, access = len(attacks), _with_access(families, several)
    noun = " or ".join(dict.fromkeys(MEMBERS[family._replace(access="none")] for family in families))
    if unexplained := [attack for attack in attacks if separates(attack)]:
        yield (
            f"An attack tells {noun} from {OTHERS[families[0].level]} ({access}), but nothing shows that training is "
            f"the reason: {_other_reason(unexplained[0])}."
        )
    else:
        subject = "The one attack of this run did not find" if n == 1 else f"None of the {n} attacks of this run found"
        yield f"{subject} {noun} ({access})."
    yield _sensitivity(attacks)
    unclear = sorted(
        (v.family for v in report.verdict.by_level_and_access if v.status == "not_assessable"), key=FAMILIES.index
    )
    if unclear:
        yield f"No conclusion is possible {_with_access(unclear, True)}."


def _other_reason(attack: AttackResult) -> str:
    siblings = attack.versus_siblings
    if siblings is not None and siblings.p_value >= ALPHA:
        return "it does not tell them from recordings of the same source that were not trained on"
    return "it is not shown to do better than on a model that was trained on neither"


def _sensitivity(attacks: Sequence[AttackResult]) -> str:
    """State the smallest effect that would have been noticed."""
    known = [attack.smallest_detectable_auroc for attack in attacks if attack.smallest_detectable_auroc is not None]
    detectable = max(known, default=1.0)
    if detectable >= 1:
        return "The run is so small that it would have noticed only a near-perfect attack."
    what = "training recording" if attacks[0].level == "utterance" else "speaker of the training data"
    return (
        f"It would have noticed an attack that picks the {what} out of about {100 * detectable:.0f} of 100 pairs with "
        f"another one (AUROC {detectable:.2f}, with 80 % power); a weaker leak may have gone unnoticed."
    )


def _alone(report: AuditReport) -> Iterator[str]:
    """Name families that leak only when they are looked at alone."""
    families = [v.family for v in report.verdict.by_level_and_access if stands_alone(report, v)]
    if families:
        yield (
            f"One result stands out on its own ({_with_access(sorted(families, key=FAMILIES.index), True)}), but not "
            "after correction for the number of questions and accesses that were tried."
        )


def _split_finding(report: AuditReport) -> str:
    if report.verdict.status == "no_evidence":
        return (
            "Without a model, members and non-members cannot be told apart: an audit on this split can say something "
            "about training."
        )
    return no_conclusion(report)


def _with_access(families: Sequence[Family], several: bool) -> str:
    """Name accesses, and the level if there are several."""
    parts = []
    for question in dict.fromkeys(family.question for family in families):
        names = [family.access for family in families if family.question == question]
        listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        parts.append(f"with {listed} access" + (f" at {question}" if several else ""))
    return ", nor ".join(parts) if len(parts) > 1 and not several else "; ".join(parts)


def _decisive(report: AuditReport, verdict: LevelVerdict) -> AttackResult | None:
    named = report.result(verdict.attack, verdict.level) if verdict.attack else None
    of_family = [attack for attack in report.attacks if attack.family == verdict.family]
    return named or min(of_family, key=lambda attack: (attack.p_value, -attack.auroc), default=None)


def _of_attack(attack: AttackResult) -> LevelVerdict:
    return LevelVerdict(attack.level, attack.access, "leak", "", attack.name, attack.part)
