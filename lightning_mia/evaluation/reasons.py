"""Reasons of a verdict: one sentence each, with its numbers."""

from collections.abc import Sequence

from lightning_mia.evaluation.clean_splits import refusal_clause
from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status

NO_BLIND_BASELINE = "the blind baseline was not run, and this split was not drawn at random by this tool"
BLIND_BASELINE_SKIPPED = "; the blind baseline was not run"
BLIND_KINDS = {
    "acoustics": "acoustics",
    "within": "acoustics within speakers and in both directions",
    "content": "what is said (the words of the transcripts)",
    "metadata": "metadata (order, sessions, file names, dates)",
    "encoder": "the outputs of an encoder that saw neither",
}
HEADINGS: dict[Status, str] = {
    "leak": "leak",
    "no_evidence": "no evidence",
    "not_assessable": "not assessable",
}


def leak(attack: AttackResult) -> str:
    """Explain a leak: an attack that only training explains."""
    difference = attack.versus_wrong_model
    if difference is None:
        return f"{_figures(attack)}; no wrong-model control was run, but the split was drawn at random"
    return (
        f"{_figures(attack)}, which differs by {difference.value:.2f} from that on a model trained on neither members "
        f"nor non-members (lower bound {difference.lower95:.2f})"
    )


def no_wrong_model(attack: AttackResult) -> str:
    """Explain a successful attack without a wrong model.

    The split is user-supplied.
    """
    return (
        f"{_figures(attack)}, but without a wrong-model control, differences between the recordings themselves may "
        "explain it"
    )


def works_on_wrong_model(attack: AttackResult, family: Sequence[AttackResult]) -> str:
    """Explain an attack that also works on the wrong model."""
    difference = attack.versus_wrong_model
    assert difference is not None  # `family_verdict` calls `leak` or `no_wrong_model` otherwise
    return (
        f"{_figures(attack)}, but on a model trained on neither members nor non-members it has AUROC "
        f"{difference.auroc_wrong_model:.2f} (lower bound of the difference {difference.lower95:.2f}); "
        f"{_power(family)}"
    )


def no_separation(family: Sequence[AttackResult]) -> str:
    """Explain that no attack works; `family` starts with the strongest."""
    return f"no attack separates members from non-members: {_figures(family[0])}; {_power(family)}"


def few_speakers(n_speakers: int, required: int) -> str:
    """Explain that the speaker level has too few speakers."""
    return f"a verdict at speaker level requires at least {required} speakers, but there are only {n_speakers}"


def confounded(blind: Sequence[BlindResult]) -> str:
    """Explain that members and non-members differ in more than membership.

    `blind` are the blind baselines that separate them.
    """
    return f"members and non-members can be separated without any model: {_blind_figures(blind)}"


def not_confounded(blind: Sequence[BlindResult]) -> str:
    """Explain that the blind baseline found no difference."""
    acoustics, *others = blind
    return (
        f"members and non-members cannot be separated without a model: {_blind_figures([acoustics])}, with a one-sided "
        f"95 % upper bound of {acoustics.upper95:.2f}" + "".join(f"; {_blind_figure(other)}" for other in others)
    )


def too_small(blind: BlindResult, largest: float) -> str:
    """Explain that the split is too small to exclude confounding."""
    return (
        f"the split is too small to exclude confounding: {_blind_figures([blind])}, but its one-sided 95 % upper bound "
        f"is {blind.upper95:.2f}, above {largest:.2f}{refusal_clause(blind)}"
    )


def possibly_confounded(blind: Sequence[BlindResult], attack: AttackResult) -> str:
    """Warn that the blind baseline may beat chance.

    `blind` are the blind baselines that do.
    """
    adjusted = attack.auroc_blind_adjusted
    adjustment = "" if adjusted is None else f"; adjusted for the blind score, {attack.name} has AUROC {adjusted:.2f}"
    return f"; warning: even without any model, {_blind_figures(blind)}{adjustment}"


def overall(status: Status, verdicts: Sequence[LevelVerdict]) -> str:
    """Join the decisive reason and the other verdicts.

    The decisive reason is that of the first verdict with this status; the others are only named.
    """
    decisive = [verdict for verdict in verdicts if verdict.status == status]
    if not decisive:
        return "No attack was run, so there is nothing to assess."
    first, *others = decisive
    clauses = [f"{_level_and_access(first)}: {first.reason}"]
    if others:
        clauses.append(f"the same verdict at {_enumerate(others)}")
    for other in HEADINGS:
        other_verdicts = [verdict for verdict in verdicts if verdict.status == other != status]
        clauses += [f"{HEADINGS[other]} at {_enumerate(other_verdicts)}"] if other_verdicts else []
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def decisive_p_value(attack: AttackResult) -> float:
    """Return the corrected p-value; for controls, the uncorrected one."""
    return attack.p_value if attack.p_value_corrected is None else attack.p_value_corrected


def _figures(attack: AttackResult) -> str:
    lower, upper = attack.auroc_ci95
    interval = f"95 % interval {lower:.2f} to {upper:.2f}"
    return f"{attack.name} has AUROC {attack.auroc:.2f} ({interval}, corrected {_p(decisive_p_value(attack))})"


def _blind_figures(blind: Sequence[BlindResult]) -> str:
    return f"the blind baseline has {', '.join(map(_blind_figure, blind))}"


def _blind_figure(blind: BlindResult) -> str:
    p = _p(decisive_p_value(blind.result))
    return f"AUROC {blind.result.auroc:.2f} ({p}) on {BLIND_KINDS[blind_kind(blind.result.name)]}"


def blind_kind(name: str) -> str:
    """Return what a blind baseline looks at.

    >>> blind_kind("blind_trained"), blind_kind("blind_content_trained")
    ('acoustics', 'content')
    """
    kind = name.removeprefix("blind_").split("_")[0]
    return kind if kind in BLIND_KINDS else "acoustics"


def _power(family: Sequence[AttackResult]) -> str:
    detectable = [attack.smallest_detectable_auroc for attack in family]
    largest = max((auroc for auroc in detectable if auroc is not None), default=1.0)
    if largest < 1:
        return f"an AUROC of {largest:.2f} would have been detected with 80 % power"
    return "this design detects no AUROC below 1 with 80 % power"


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)


def _level_and_access(verdict: LevelVerdict) -> str:
    return f"{verdict.level} level" if verdict.access == "none" else f"{verdict.level} level, {verdict.access}"


def _enumerate(verdicts: Sequence[LevelVerdict]) -> str:
    return " and ".join(
        f"{verdict.level} level" + ("" if verdict.access == "none" else f" with {verdict.access} access")
        for verdict in verdicts
    )
