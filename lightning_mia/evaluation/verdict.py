"""The verdict: per level and access, then overall.

The blind gate comes first. Where the tool drew the split, random assignment already protects the
p-values, and only a blind attack that chance hardly explains (p < .001) stops the verdict. Where
the user brought the split, the burden is the other way round: the blind attack must be shown to be
near chance.

Without a wrong-model control an attack that separates the sides of a *drawn* split is a leak,
because assignment at random leaves no other cause; on a split that the user *brought* it is not
assessable, because the recordings may differ in a way that the blind control does not see.

Overall: a leak anywhere is a leak. Otherwise "no evidence" takes something that could be assessed,
and no attack that separates the sides where its cause could not be told.
"""

from collections.abc import Sequence

from lightning_mia.evaluation import reasons
from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status, Verdict

ALPHA = 0.05
BLIND_ALPHA_DRAWN = 0.001
BLIND_ALPHA_BROUGHT = 0.05
MAX_BLIND_AUROC = 0.60
MIN_SPEAKERS = 12  # with 10, not even the smallest p-value of a speaker-level split is below .001


def give_verdict(results: Sequence[AttackResult], blind: Sequence[BlindResult], *, drawn: bool) -> Verdict:
    """Judge a run.

    Args:
        results: of attacks and controls; controls (access "none") are passed over.
        blind: the blind controls, one or more a level; the worst of a level counts.
        drawn: the split was drawn by this tool, not brought by the user.

    Returns:
        The verdict; the families with the strongest attacks come first.
    """
    attacks = sorted((one for one in results if one.access != "none"), key=strength, reverse=True)
    verdicts, unexplained = [], False
    for level, access in dict.fromkeys((attack.level, attack.access) for attack in attacks):
        family = [attack for attack in attacks if (attack.level, attack.access) == (level, access)]
        verdict = judge_family(family, [one for one in blind if one.result.level == level], drawn=drawn)
        unexplained |= verdict.status == "not_assessable" and any(map(separates, family))
        verdicts.append(verdict)
    return combine(verdicts, unexplained=unexplained)


def give_blind_verdict(blind: Sequence[BlindResult], *, drawn: bool, level: str) -> Verdict:
    """Judge a split alone, before any model is asked: "no_evidence" where it can be assessed.

    Args:
        blind: the blind controls, one or more a level; the worst of a level counts.
        drawn: as in `give_verdict`.
        level: the level that the split is for; its verdict is the overall one.
    """
    verdicts = []
    for name in sorted({one.result.level for one in blind}, key=lambda name: name != level):
        of_level = [one for one in blind if one.result.level == name]
        obstacle = blind_obstacle(of_level, drawn=drawn)
        status: Status = "not_assessable" if obstacle else "no_evidence"
        worst = max(of_level, key=lambda one: one.upper95)
        verdicts.append(LevelVerdict(name, "none", status, obstacle or reasons.alike(worst)))
    return Verdict(verdicts[0].status, reasons.overall(verdicts[0].status, verdicts), tuple(verdicts))


def judge_family(attacks: Sequence[AttackResult], blind: Sequence[BlindResult], *, drawn: bool) -> LevelVerdict:
    """The verdict for the attacks of one level and access.

    Args:
        attacks: of the family, the strongest first.
        blind: the blind controls of that level.
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
        status, reason = "no_evidence", reasons.wrong_model_as_well(attack, attacks)
    else:
        status, reason = "no_evidence", reasons.nothing_found(attacks)
    return LevelVerdict(level, access, status, reason + blind_warning(blind, attack, drawn=drawn), attack.name)


def combine(verdicts: Sequence[LevelVerdict], *, unexplained: bool) -> Verdict:
    """The overall verdict; `unexplained`: an attack separates the sides where it could not be assessed."""
    statuses = [verdict.status for verdict in verdicts]
    if "leak" in statuses:
        status: Status = "leak"
    else:
        status = "no_evidence" if "no_evidence" in statuses and not unexplained else "not_assessable"
    return Verdict(status, reasons.overall(status, verdicts), tuple(verdicts))


def strength(attack: AttackResult) -> float:
    """How far an attack is from chance, in either direction where it has none of its own."""
    return abs(attack.auroc - 0.5) if attack.two_sided else attack.auroc - 0.5


def separates(attack: AttackResult) -> bool:
    """Whether an attack tells the sides apart, whatever the cause."""
    return reasons.decisive_p_value(attack) < ALPHA


def clears_wrong_model(attack: AttackResult, *, drawn: bool) -> bool:
    """Whether the target tells more than a model that cannot know; without one, whether chance assigned."""
    return drawn if attack.versus_wrong_model is None else attack.versus_wrong_model.lower95 > 0


def speaker_obstacle(attacks: Sequence[AttackResult]) -> str:
    """Why there are too few speakers for a verdict, or nothing."""
    n_speakers = min(attack.n_speakers for attack in attacks)
    if attacks[0].level != "speaker" or n_speakers >= MIN_SPEAKERS:
        return ""
    return reasons.few_speakers(n_speakers, MIN_SPEAKERS)


def blind_obstacle(blind: Sequence[BlindResult], *, drawn: bool) -> str:
    """Why the blind control stops a verdict, or nothing."""
    if not blind:
        return "" if drawn else reasons.NO_BLIND_CONTROL
    surest = min(blind, key=lambda one: one.result.p_value)
    if surest.result.p_value < (BLIND_ALPHA_DRAWN if drawn else BLIND_ALPHA_BROUGHT):
        return reasons.confounded(surest)
    widest = max(blind, key=lambda one: one.upper95)
    if not drawn and widest.upper95 > MAX_BLIND_AUROC:
        return reasons.too_small(widest, MAX_BLIND_AUROC)
    return ""


def blind_warning(blind: Sequence[BlindResult], attack: AttackResult, *, drawn: bool) -> str:
    """What to say of a blind attack that gets by, but hardly; on a split that was brought, none does."""
    if not drawn:
        return ""
    if not blind:
        return reasons.BLIND_CONTROL_LEFT_OUT
    surest = min(blind, key=lambda one: one.result.p_value)
    return reasons.hardly_blind(surest, attack) if surest.result.p_value < BLIND_ALPHA_BROUGHT else ""
