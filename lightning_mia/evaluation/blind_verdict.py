"""What the blind baseline says about a split.

It decides first whether there can be a verdict. If this tool drew the split, random assignment already protects the
p-values, and only a blind baseline that chance hardly explains (p < .001) makes the split not assessable. If the user
supplied the split, the burden of proof is reversed: the blind baseline must be shown to be near chance.
"""

from collections.abc import Sequence

from lightning_mia.evaluation import reasons
from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status, Verdict

BLIND_ALPHA_DRAWN = 0.001
BLIND_ALPHA_USER_SUPPLIED = 0.05
MAX_BLIND_AUROC = 0.60


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
