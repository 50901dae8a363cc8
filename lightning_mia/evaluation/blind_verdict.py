"""What the blind baseline says about a split.

It decides first whether there can be a verdict. If this tool drew the split, random assignment already protects the
p-values, and only a blind baseline that chance hardly explains makes the split not assessable (`drawn_limit`). If the
user supplied the split, the burden of proof is reversed: the blind baseline must be shown to be near chance.

There are several blind baselines, of acoustics, faint traces, content and metadata. Their p-values are corrected for
each other (max-T), so that together they refuse a split without a confound no more often than one alone.
"""

from collections.abc import Sequence

from lightning_mia.evaluation import reasons
from lightning_mia.evaluation.clean_splits import MAX_AUROC
from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status, Verdict
from lightning_mia.evaluation.settings import ALPHA

BLIND_ALPHA_DRAWN = 0.001
LABELLINGS_DRAWN = 5
"""Of few labellings, fewer than this must be as suspicious as the observed one, which is counted too. Its complement
always is: exchanging members and non-members only changes the sign of all differences."""
BLIND_ALPHA_USER_SUPPLIED = ALPHA
MAX_BLIND_AUROC = MAX_AUROC


def drawn_limit(n_labellings: int | None) -> float:
    """Return the blind p-value below which a drawn split is refused.

    It is .001, and more with few labellings, so that a complete confound is refused at every size: of 12 speakers, no
    labelling has p < .001.

    Args:
        n_labellings: distinct labellings of the split; None if unknown.

    >>> [round(drawn_limit(n), 4) for n in (70, 924, 3432, 12870, None)]
    [0.05, 0.0054, 0.0015, 0.001, 0.001]
    """
    return min(ALPHA, max(BLIND_ALPHA_DRAWN, LABELLINGS_DRAWN / n_labellings)) if n_labellings else BLIND_ALPHA_DRAWN


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
        worst = max(_acoustics(controls), key=lambda control: control.upper95)
        others = [control for control in controls if control not in _acoustics(controls)]
        verdicts.append(LevelVerdict(name, "none", status, obstacle or reasons.not_confounded([worst, *others])))
    return Verdict(verdicts[0].status, reasons.overall(verdicts[0].status, verdicts), tuple(verdicts))


def blind_obstacle(blind: Sequence[BlindResult], *, drawn: bool) -> str:
    """Explain why the blind baseline prevents a verdict.

    Empty if it does not.
    """
    if not blind:
        return "" if drawn else reasons.NO_BLIND_BASELINE
    # All blind baselines of a level have the same labellings, except for those of its parts.
    limit = drawn_limit(blind[0].n_labellings) if drawn else BLIND_ALPHA_USER_SUPPLIED
    separating = _separating(blind, limit)
    if separating:
        return reasons.confounded(separating)
    largest = max(_acoustics(blind), key=lambda control: control.upper95)
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
    separating = _separating(blind, BLIND_ALPHA_USER_SUPPLIED)
    return reasons.possibly_confounded(separating, attack) if separating else ""


def _separating(blind: Sequence[BlindResult], alpha: float) -> list[BlindResult]:
    """Return the blind baselines with a corrected p below alpha.

    The most significant come first; those of another part of the same kind are left out.
    """
    significant = [control for control in blind if reasons.decisive_p_value(control.result) < alpha]
    ordered = sorted(significant, key=lambda control: (reasons.decisive_p_value(control.result), -control.result.auroc))
    return list({reasons.blind_kind(control.result.name): control for control in reversed(ordered)}.values())[::-1]


def _acoustics(blind: Sequence[BlindResult]) -> list[BlindResult]:
    """Return the blind baselines that the upper bound is for.

    A bound on each kind would refuse clean splits of a few hundred units more often.
    """
    return [control for control in blind if reasons.blind_kind(control.result.name) == "acoustics"]
