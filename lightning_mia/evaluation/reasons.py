"""The reasons of the verdict: one clear sentence each, with the numbers in it."""

from collections.abc import Sequence

from lightning_mia.evaluation.results import AttackResult, BlindResult, LevelVerdict, Status

NO_BLIND_CONTROL = "the blind control was not run, and this split was not drawn at random by this tool"
BLIND_CONTROL_LEFT_OUT = "; the blind control was not run"
HEADINGS: dict[Status, str] = {
    "leak": "leak",
    "no_evidence": "no evidence",
    "not_assessable": "not assessable",
}


def leak(attack: AttackResult) -> str:
    """The attack separates the sides, and nothing but training explains it."""
    difference = attack.versus_wrong_model
    if difference is None:
        return f"{_figures(attack)}; no wrong-model control was run, but the split was drawn at random"
    return (
        f"{_figures(attack)}, {difference.value:.2f} further from chance than with a model trained on "
        f"neither side (lower bound {difference.lower95:.2f})"
    )


def no_wrong_model(attack: AttackResult) -> str:
    """The attack separates the sides of a split that was brought; no wrong model shows why."""
    return (
        f"{_figures(attack)}, but without a wrong-model control the cause may as well be a difference "
        "between the recordings themselves"
    )


def wrong_model_as_well(attack: AttackResult, family: Sequence[AttackResult]) -> str:
    """The attack separates the sides, but not much better than with a model that cannot know them."""
    difference = attack.versus_wrong_model
    assert difference is not None  # without this control the verdict is another
    return (
        f"{_figures(attack)}, but with a model trained on neither side it has AUROC "
        f"{difference.auroc_wrong_model:.2f} (lower bound of the difference {difference.lower95:.2f}); "
        f"{_power(family)}"
    )


def nothing_found(family: Sequence[AttackResult]) -> str:
    """No attack separates the sides; `family` starts with the strongest."""
    return f"no attack tells members from non-members: {_figures(family[0])}; {_power(family)}"


def few_speakers(n_speakers: int, fewest: int) -> str:
    """A verdict at speaker level would rest on a handful of people."""
    return f"{n_speakers} speakers are too few for a verdict at speaker level, which takes {fewest}"


def confounded(blind: BlindResult) -> str:
    """The sides differ in more than membership."""
    return f"members and non-members differ without any model: {_blind_figures(blind)}"


def alike(blind: BlindResult) -> str:
    """The sides look alike, as far as a classifier without a model can see."""
    return (
        f"members and non-members cannot be told apart without a model: {_blind_figures(blind)}, and its "
        f"one-sided 95 % bound is {blind.upper95:.2f}"
    )


def too_small(blind: BlindResult, largest: float) -> str:
    """The sides may differ in more than membership, for all that can be seen."""
    return (
        f"the split is too small to exclude confounding: {_blind_figures(blind)}, but "
        f"its one-sided 95 % bound is {blind.upper95:.2f}, above {largest:.2f}"
    )


def hardly_blind(blind: BlindResult, attack: AttackResult) -> str:
    """Chance may explain the blind attack, but seldom does; what is left of `attack` without it."""
    adjusted = attack.auroc_blind_adjusted
    left = "" if adjusted is None else f", without which {attack.name} has AUROC {adjusted:.2f}"
    return f"; warning: even without any model, {_blind_figures(blind)}{left}"


def overall(status: Status, verdicts: Sequence[LevelVerdict]) -> str:
    """The reason of the first level and access of this status, and the names of all others."""
    of_status = [verdict for verdict in verdicts if verdict.status == status]
    if not of_status:
        return "No attack was run, and so there is nothing to judge."
    first, *likewise = of_status
    clauses = [f"{_place(first)}: {first.reason}"]
    if likewise:
        clauses.append(f"likewise {HEADINGS[status]}: {_places(likewise)}")
    for other in HEADINGS:
        places = [verdict for verdict in verdicts if verdict.status == other != status]
        clauses += [f"{HEADINGS[other]}: {_places(places)}"] if places else []
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def decisive_p_value(attack: AttackResult) -> float:
    """The corrected p-value, where there is one."""
    return attack.p_value if attack.p_value_corrected is None else attack.p_value_corrected


def _figures(attack: AttackResult) -> str:
    lower, upper = attack.auroc_ci95
    interval = f"95 % interval {lower:.2f} to {upper:.2f}"
    return f"{attack.name} has AUROC {attack.auroc:.2f} ({interval}, corrected {_p(decisive_p_value(attack))})"


def _blind_figures(blind: BlindResult) -> str:
    return f"the blind attack has AUROC {blind.result.auroc:.2f} ({_p(blind.result.p_value)})"


def _power(family: Sequence[AttackResult]) -> str:
    known = [one.smallest_detectable_auroc for one in family if one.smallest_detectable_auroc is not None]
    largest = max(known, default=1.0)
    if largest < 1:
        return f"an AUROC of {largest:.2f} would have been found with 80 % power"
    return "this design finds no AUROC below 1 with 80 % power"


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}".replace("0.", ".", 1)


def _place(verdict: LevelVerdict) -> str:
    return f"{verdict.level} level" if verdict.access == "none" else f"{verdict.level} level, {verdict.access}"


def _places(verdicts: Sequence[LevelVerdict]) -> str:
    return " and ".join(
        f"{verdict.level} level" + ("" if verdict.access == "none" else f" with {verdict.access} access")
        for verdict in verdicts
    )
