"""The verdict: per level and access, then overall.

The blind baseline decides first whether there can be a verdict. If this tool drew the split, random assignment already
protects the p-values, and only a blind baseline that chance hardly explains (p < .001) makes the split not assessable.
If the user supplied the split, the burden of proof is reversed: the blind baseline must be shown to be near chance.

Without a wrong-model control, an attack that separates members from non-members of a *drawn* split is a leak, because
random assignment leaves no other cause. On a *user-supplied* split it is not assessable, because the recordings may
differ in a way that the blind baseline does not see.

Overall: a leak anywhere is a leak. Otherwise "no evidence" requires at least one assessable level and access, and no
attack whose separation remains unexplained.
"""

from collections.abc import Sequence

from lightning_mia.evaluation import reasons
from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status, Verdict
from lightning_mia.evaluation.settings import ALPHA

BLIND_ALPHA_DRAWN = 0.001
BLIND_ALPHA_USER_SUPPLIED = 0.05
MAX_BLIND_AUROC = 0.60
MIN_SPEAKERS = 12
"""With 6 + 6 speakers the smallest p-value is about `BLIND_ALPHA_DRAWN` (1/924), with 5 + 5 it is .004."""


def give_verdict(
    results: Sequence[AttackResult], blind: Sequence[BlindResult], *, drawn: bool, obstacle: str = ""
) -> Verdict:
    """Give the verdict of an audit.

    Args:
        results: of attacks and controls; controls (access "none") are ignored.
        blind: blind baselines, one or more per level; the worst of a level counts.
        drawn: this tool drew the split; False: the user supplied it.
        obstacle: reason outside the split that prevents any verdict.

    Returns:
        The verdict; levels and accesses with the strongest attacks come first.
    """
    attacks = sorted((result for result in results if result.access != "none"), key=strength, reverse=True)
    verdicts, unexplained = [], False
    for level, access in dict.fromkeys((attack.level, attack.access) for attack in attacks):
        family = [attack for attack in attacks if (attack.level, attack.access) == (level, access)]
        verdict = family_verdict(family, [control for control in blind if control.result.level == level], drawn=drawn)
        if obstacle:
            verdict = LevelVerdict(level, access, "not_assessable", obstacle)
        unexplained |= verdict.status == "not_assessable" and any(map(separates, family))
        verdicts.append(verdict)
    return combine(verdicts, unexplained=unexplained)


def give_blind_verdict(blind: Sequence[BlindResult], *, drawn: bool, level: str) -> Verdict:
    """Give the verdict on a split alone.

    It is "no_evidence" if the split can be assessed.

    Args:
        blind: blind baselines, one or more per level; the worst of a level counts.
        drawn: as in `give_verdict`.
        level: level of the split; its verdict is the overall one.
    """
    verdicts = []
    for name in sorted({control.result.level for control in blind}, key=lambda name: name != level):
        controls = [control for control in blind if control.result.level == name]
        obstacle = blind_obstacle(controls, drawn=drawn)
        status: Status = "not_assessable" if obstacle else "no_evidence"
        worst = max(controls, key=lambda control: control.upper95)
        verdicts.append(LevelVerdict(name, "none", status, obstacle or reasons.not_confounded(worst)))
    return Verdict(verdicts[0].status, reasons.overall(verdicts[0].status, verdicts), tuple(verdicts))


def family_verdict(attacks: Sequence[AttackResult], blind: Sequence[BlindResult], *, drawn: bool) -> LevelVerdict:
    """Give the verdict of one level and access.

    Args:
        attacks: of this level and access, the strongest first.
        blind: blind baselines of the level.
        drawn: as in `give_verdict`.
    """
    level, access = attacks[0].level, attacks[0].access
    obstacle = speaker_obstacle(attacks) or blind_obstacle(blind, drawn=drawn)
    if obstacle:
        return LevelVerdict(level, access, "not_assessable", obstacle)
    separating = [attack for attack in attacks if separates(attack)]
    leaks = [attack for attack in separating if clears_wrong_model(attack, drawn=drawn)]
    unexplained = [attack for attack in separating if attack.versus_wrong_model is None]
    attack = (leaks or unexplained or separating or attacks)[0]
    status: Status
    if leaks:
        status, reason = "leak", reasons.leak(attack)
    elif unexplained:
        status, reason = "not_assessable", reasons.no_wrong_model(attack)
    elif separating:
        status, reason = "no_evidence", reasons.works_on_wrong_model(attack, attacks)
    else:
        status, reason = "no_evidence", reasons.no_separation(attacks)
    return LevelVerdict(level, access, status, reason + blind_warning(blind, attack, drawn=drawn), attack.name)


def combine(verdicts: Sequence[LevelVerdict], *, unexplained: bool) -> Verdict:
    """Combine verdicts into the overall one.

    Args:
        verdicts: one per level and access.
        unexplained: an attack of a level and access that is not assessable separates members from non-members.
    """
    statuses = [verdict.status for verdict in verdicts]
    if "leak" in statuses:
        status: Status = "leak"
    else:
        status = "no_evidence" if "no_evidence" in statuses and not unexplained else "not_assessable"
    return Verdict(status, reasons.overall(status, verdicts), tuple(verdicts))


def strength(attack: AttackResult) -> float:
    """Return the distance of the AUROC from chance.

    It is signed unless the attack is two-sided.
    """
    return abs(attack.auroc - 0.5) if attack.two_sided else attack.auroc - 0.5


def separates(attack: AttackResult) -> bool:
    """Test whether an attack significantly separates members from non-members."""
    return reasons.decisive_p_value(attack) < ALPHA


def clears_wrong_model(attack: AttackResult, *, drawn: bool) -> bool:
    """Test whether the target reveals more than the wrong model.

    Without a wrong model, test whether the split was drawn.
    """
    return drawn if attack.versus_wrong_model is None else attack.versus_wrong_model.lower95 > 0


def speaker_obstacle(attacks: Sequence[AttackResult]) -> str:
    """Explain why too few speakers prevent a verdict.

    Empty if they do not.
    """
    n_speakers = min(attack.n_speakers for attack in attacks)
    if attacks[0].level != "speaker" or n_speakers >= MIN_SPEAKERS:
        return ""
    return reasons.few_speakers(n_speakers, MIN_SPEAKERS)


def blind_obstacle(blind: Sequence[BlindResult], *, drawn: bool) -> str:
    """Explain why the blind baseline prevents a verdict.

    Empty if it does not.
    """
    if not blind:
        return "" if drawn else reasons.NO_BLIND_BASELINE
    most_significant = min(blind, key=lambda control: control.result.p_value)
    if most_significant.result.p_value < (BLIND_ALPHA_DRAWN if drawn else BLIND_ALPHA_USER_SUPPLIED):
        return reasons.confounded(most_significant)
    largest = max(blind, key=lambda control: control.upper95)
    if not drawn and largest.upper95 > MAX_BLIND_AUROC:
        return reasons.too_small(largest, MAX_BLIND_AUROC)
    return ""


def blind_warning(blind: Sequence[BlindResult], attack: AttackResult, *, drawn: bool) -> str:
    """Warn if the blind baseline is suspicious or missing.

    Empty for user-supplied splits, whose limit is stricter.
    """
    if not drawn:
        return ""
    if not blind:
        return reasons.BLIND_BASELINE_SKIPPED
    most_significant = min(blind, key=lambda control: control.result.p_value)
    if most_significant.result.p_value < BLIND_ALPHA_USER_SUPPLIED:
        return reasons.possibly_confounded(most_significant, attack)
    return ""
