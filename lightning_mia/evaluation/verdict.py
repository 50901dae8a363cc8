"""The verdict: per family of attacks, then overall.

A family is one question (was this recording, or this voice, trained on?) and one access. The blind baseline decides
first whether there can be a verdict; see `blind_verdict`. An attack then reveals training if all of this holds:

- It separates members from non-members: corrected p < .05 by redrawing the split.
- It does so better than on the wrong model: a one-sided test of the distances from chance, simultaneous over the
  family. Without a wrong model, only a *drawn* split gives a leak, because random assignment leaves no other cause.
- On a user-supplied split with siblings, it also separates members from these.

A wrong model that departs from chance itself is no control. On a drawn split it was trained on members, or differs by
chance, and the verdict rests on the redraws alone; on a user-supplied split it shows that the recordings differ, and
nothing can be concluded.

Every family has a verdict at its own level of 5 %. The overall verdict is a leak only if a family is one after Holm's
correction over all families; "no evidence" requires at least one assessable family, and no separation whose cause
remains unexplained.
"""

from collections.abc import Sequence
from dataclasses import replace

from lightning_mia.evaluation import reasons
from lightning_mia.evaluation.blind_verdict import blind_obstacle, blind_warning
from lightning_mia.evaluation.results import AttackResult, BlindResult, Exposure, LevelVerdict, Status, Verdict
from lightning_mia.evaluation.scores import group_by_family
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.evaluation.statistics.permutation import holm

MIN_SPEAKERS = 12
"""With 6 + 6 speakers the smallest p-value is 1/924, with 5 + 5 it is .004."""


def give_verdict(
    results: Sequence[AttackResult],
    blind: Sequence[BlindResult],
    *,
    drawn: bool,
    largest_exposure: Exposure | None = None,
    obstacle: str = "",
) -> Verdict:
    """Give the verdict of an audit.

    Args:
        results: of attacks and controls; controls (access "none") are ignored.
        blind: blind baselines, one or more per level and part.
        drawn: this tool drew the split; False: the user supplied it.
        largest_exposure: of the positive control; a family whose attacks all miss it is not assessable.
        obstacle: reason why nothing can be assessed; empty: none.

    Returns:
        The verdict; the families with the strongest attacks come first, after the decisive one.
    """
    attacks = sorted((result for result in results if result.access != "none"), key=strength, reverse=True)
    families = group_by_family(attacks)
    departing = [attack for attack in attacks if not drawn and wrong_model_departs(attack)]
    confounded = {attack.family[:2]: attack for attack in sorted(departing, key=_wrong_model_evidence)}
    verdicts = [
        _barred(family[0], obstacle)
        if obstacle
        else family_verdict(
            family,
            _same_question(blind, family[0]),
            drawn=drawn,
            confounded=confounded.get(family[0].family[:2]),
            largest_exposure=largest_exposure,
        )
        for family in families.values()
    ]
    unexplained = any(
        verdict.status == "not_assessable" and any(separates(attack) or is_reversed(attack) for attack in family)
        for verdict, family in zip(verdicts, families.values(), strict=True)
    )
    return combine(verdicts, unexplained=unexplained)


def family_verdict(
    attacks: Sequence[AttackResult],
    blind: Sequence[BlindResult],
    *,
    drawn: bool,
    confounded: AttackResult | None = None,
    largest_exposure: Exposure | None = None,
) -> LevelVerdict:
    """Give the verdict of one family.

    Args:
        attacks: of this family, the strongest first.
        blind: blind baselines of its level and part.
        drawn: as in `give_verdict`.
        confounded: attack of this level and part, of any access, that also works on the wrong model of a user-supplied
            split; None: there is none.
        largest_exposure: as in `give_verdict`.
    """
    if obstacle := speaker_obstacle(attacks) or blind_obstacle(blind, drawn=drawn):
        return _barred(attacks[0], obstacle)
    p_values = [1.0 if confounded else leak_p_value(attack, drawn=drawn) for attack in attacks]
    leaks = [attack for attack, p in zip(attacks, p_values, strict=True) if p < ALPHA]
    separating = [attack for attack in attacks if separates(attack)]
    without_control = [attack for attack in separating if attack.versus_wrong_model is None and not drawn]
    domain = [attack for attack in separating if only_siblings_prevent_leak(attack, drawn=drawn)]
    backwards = [attack for attack in attacks if is_reversed(attack)]
    status: Status = "no_evidence"
    if leaks:
        attack, status = leaks[0], "leak"
        reason = reasons.leak(attack, attacks, drawn=drawn, contaminated=wrong_model_departs(attack))
    elif confounded:
        attack, status = attacks[0], "not_assessable"
        reason = reasons.confounded_wrong_model(confounded)
    elif without_control:
        attack, status = without_control[0], "not_assessable"
        reason = reasons.no_wrong_model(attack, attacks)
    elif domain:
        attack = domain[0]
        reason = reasons.domain(attack, attacks)
    elif backwards:
        attack, status = max(backwards, key=lambda result: 0.5 - result.auroc), "not_assessable"
        reason = reasons.unexpected_sign(attack)
    elif separating:
        attack = separating[0]
        reason = reasons.works_on_wrong_model(attack, attacks)
    elif missed := missed_exposure(attacks, largest_exposure):
        attack, status = attacks[0], "not_assessable"
        reason = reasons.missed_exposure(attack, attacks, missed)
    else:
        attack = attacks[0]
        reason = reasons.no_separation(attack, attacks)
        if drawn and any(map(wrong_model_departs, attacks)):
            reason += reasons.contaminated_control(max(attacks, key=_wrong_model_evidence))
    level, part, access = attack.family
    reason += blind_warning(blind, attack, drawn=drawn)
    return LevelVerdict(level, access, status, reason, attack.name, part, p_value=min(p_values))


def combine(verdicts: Sequence[LevelVerdict], *, unexplained: bool) -> Verdict:
    """Combine verdicts into the overall one.

    Args:
        verdicts: one per family.
        unexplained: an attack of a family that is not assessable separates members from non-members.
    """
    tested = [verdict for verdict in verdicts if verdict.p_value is not None]
    corrected = iter(holm([verdict.p_value for verdict in tested if verdict.p_value is not None]))
    verdicts = [
        verdict if verdict.p_value is None else replace(verdict, p_value_overall=next(corrected))
        for verdict in verdicts
    ]
    statuses = {verdict.status for verdict in verdicts}
    leaks = [verdict for verdict in verdicts if leaks_overall(verdict)]
    if leaks:
        status: Status = "leak"
    else:
        assessed = statuses & {"no_evidence", "leak"}
        status = "no_evidence" if assessed and not unexplained else "not_assessable"
    decisive = leaks or [verdict for verdict in verdicts if verdict.status == status] or verdicts
    verdicts = sorted(verdicts, key=lambda verdict: verdict is not decisive[0])
    return Verdict(status, reasons.overall(status, verdicts), tuple(verdicts))


def strength(attack: AttackResult) -> float:
    """Return the distance of the AUROC from chance.

    It is signed unless the attack is two-sided.
    """
    return abs(attack.auroc - 0.5) if attack.two_sided else attack.auroc - 0.5


def separates(attack: AttackResult) -> bool:
    """Test whether an attack significantly separates members from non-members."""
    return reasons.decisive_p_value(attack) < ALPHA


def is_reversed(attack: AttackResult) -> bool:
    """Test whether members score lower than expected of a one-sided attack."""
    p = attack.p_value_two_sided
    return not attack.two_sided and attack.auroc < 0.5 and p is not None and p < ALPHA


def wrong_model_departs(attack: AttackResult) -> bool:
    """Test whether the attack works, in either direction, on the wrong model."""
    difference = attack.versus_wrong_model
    return (
        difference is not None
        and difference.wrong_model_p_value is not None
        and (difference.wrong_model_p_value < ALPHA)
    )


def leak_p_value(attack: AttackResult, *, drawn: bool) -> float:
    """Return the smallest level at which the attack shows a leak.

    It is the largest p-value of its conditions: an intersection-union test, which needs no further correction. 1 if
    they cannot be tested.
    """
    conditions = [reasons.decisive_p_value(attack)]
    if attack.versus_wrong_model is None or wrong_model_departs(attack):
        conditions.append(0.0 if drawn else 1.0)
    else:
        conditions.append(_wrong_model_p_value(attack))
    if attack.versus_siblings is not None:
        conditions.append(attack.versus_siblings.p_value)
    return max(conditions)


def only_siblings_prevent_leak(attack: AttackResult, *, drawn: bool) -> bool:
    """Test whether only the siblings prevent a leak."""
    without_siblings = replace(attack, versus_siblings=None)
    return attack.versus_siblings is not None and leak_p_value(without_siblings, drawn=drawn) < ALPHA


def leaks_overall(verdict: LevelVerdict) -> bool:
    """Test whether a family is a leak after correction over all families."""
    return verdict.status == "leak" and verdict.p_value_overall is not None and verdict.p_value_overall < ALPHA


def speaker_obstacle(attacks: Sequence[AttackResult]) -> str:
    """Explain why too few speakers prevent a verdict.

    Empty if they do not.
    """
    n_speakers = min(attack.n_speakers for attack in attacks)
    if attacks[0].level != "speaker" or n_speakers >= MIN_SPEAKERS:
        return ""
    return reasons.few_speakers(n_speakers, MIN_SPEAKERS)


def missed_exposure(attacks: Sequence[AttackResult], largest: Exposure | None) -> Exposure | None:
    """Return the largest exposure if no attack of the family detects it.

    None if one does, or if none could run in the positive control.
    """
    if largest is None:
        return None
    names = {attack.name for attack in attacks}
    tried = [result for result in largest.results if result.family == attacks[0].family and result.name in names]
    missed = tried and not any(map(separates, tried))
    return Exposure(largest.times, largest.seconds, tuple(tried)) if missed else None


def _wrong_model_p_value(attack: AttackResult) -> float:
    difference = attack.versus_wrong_model
    assert difference is not None
    if difference.p_value is None:  # results of earlier versions
        return 0.0 if difference.lower95 > 0 else 1.0
    return difference.p_value


def _wrong_model_evidence(attack: AttackResult) -> float:
    difference = attack.versus_wrong_model
    return -1.0 if difference is None else abs(difference.auroc_wrong_model - 0.5)


def _same_question(blind: Sequence[BlindResult], attack: AttackResult) -> list[BlindResult]:
    """Select the blind baselines of an attack's level and part."""
    of_level = [control for control in blind if control.result.level == attack.level]
    return [control for control in of_level if control.result.part == attack.part] or of_level


def _barred(attack: AttackResult, reason: str) -> LevelVerdict:
    return LevelVerdict(attack.level, attack.access, "not_assessable", reason, part=attack.part)
