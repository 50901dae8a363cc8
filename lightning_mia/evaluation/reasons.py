"""Reasons of a verdict: one sentence each, with its numbers.

Every sentence is assembled from what was run: how many attacks, with how many shadow models, which controls.
"""

from collections.abc import Sequence

from lightning_mia.evaluation.clean_splits import refusal_clause
from lightning_mia.evaluation.results import (
    HEADLINE_FPR,
    AttackResult,
    BlindResult,
    Exposure,
    Interval,
    LevelVerdict,
    Status,
    has_interval,
    headline_rate,
)

NO_BLIND_BASELINE = "the blind baseline was not run, and this split was not drawn at random by this tool"
BLIND_BASELINE_SKIPPED = "; the blind baseline was not run"
BLIND_KINDS = {
    "acoustics": "acoustics",
    "within": "acoustics within speakers and in both directions",
    "fine": "faint traces in acoustics (sample values, spectral lines, quiet moments, polarity)",
    "content": "what is said (the words of the transcripts)",
    "metadata": "metadata (order, sessions, file names, dates)",
    "encoder": "the outputs of an encoder that saw neither",
}
HEADINGS: dict[Status, str] = {
    "leak": "leak",
    "no_evidence": "no evidence",
    "not_assessable": "not assessable",
}
OTHER_MODEL = "a model trained on neither members nor non-members"
PART_MEANINGS = {
    "held_back": "; the recordings that were queried were not trained on, so that the voice itself was recognised",
    "trained": "; the recordings that were queried were trained on, so that this says nothing about the voice itself",
}
"""At speaker level: part → what a leak shows."""


def leak(attack: AttackResult, family: Sequence[AttackResult], *, drawn: bool, contaminated: bool) -> str:
    """Explain a leak: an attack that only training explains.

    Args:
        attack: the decisive attack.
        family: all attacks of its family.
        drawn: this tool drew the split.
        contaminated: the wrong model departs from chance.
    """
    difference, siblings = attack.versus_wrong_model, attack.versus_siblings
    reason = f"{effect_size(attack)}{_figures(attack, family)}"
    if difference is None:
        reason += "; no wrong-model control was run, but the split was drawn at random"
    elif contaminated:
        reason += contaminated_control(attack)
    else:
        reason += (
            f"; on {OTHER_MODEL} it has AUROC {difference.auroc_wrong_model:.2f}, so that on the target it is "
            f"{difference.value:.2f} further from chance (at least {difference.lower95:.2f})"
        )
    if siblings is not None:
        reason += (
            f"; members also differ from siblings, recordings of their source that were not trained on (AUROC "
            f"{siblings.auroc:.2f}, corrected {p_text(siblings.p_value)})"
        )
    elif not drawn:
        reason += (
            "; without siblings (recordings of the members' source that were not trained on), it cannot be excluded "
            "that the model was trained on that source, but not on these members"
        )
    return reason + PART_MEANINGS.get(attack.part, "")


def effect_size(attack: AttackResult) -> str:
    """State how many of 100 members are found; empty if unknown.

    A two-sided attack whose members score lower finds them at the other end of its scale, for which no rate is
    reported.
    """
    rate = headline_rate(attack.tpr_at_fpr)
    if rate is None:
        return ""
    if attack.two_sided and attack.auroc < 0.5:
        return "members score lower than non-members: "
    found = _of_hundred(rate.tpr)
    known = has_interval(rate.tpr_ci95)
    interval = "95 % interval {} to {}".format(*map(_of_hundred, rate.tpr_ci95)) if known else "no interval"
    unit = " speaker" if attack.level == "speaker" else ""
    accused = f"{100 * rate.fpr:g} of 100 non-member{unit}s {'is' if rate.fpr <= HEADLINE_FPR else 'are'}"
    rough = "" if rate.resolvable else " (a rough figure, decided by fewer than 10 non-members)"
    return f"of 100 member{unit}s, {found} ({interval}) are found when at most {accused} accused wrongly{rough}: "


def no_wrong_model(attack: AttackResult, family: Sequence[AttackResult]) -> str:
    """Explain a successful attack without a wrong model.

    The split is user-supplied.
    """
    return (
        f"{_figures(attack, family)}, but without a wrong-model control, differences between the "
        "recordings themselves may explain it"
    )


def confounded_wrong_model(attack: AttackResult) -> str:
    """Explain that the wrong model separates a user-supplied split."""
    return (
        "members and non-members can be separated with the wrong model, too, which should know neither: "
        f"{_on_wrong_model(attack)}, on the target {attack.auroc:.2f}; either the recordings differ in more than "
        "membership, or the wrong model was trained on some of them"
    )


def contaminated_control(attack: AttackResult) -> str:
    """Add that the wrong model of a drawn split departs from chance."""
    return (
        f"; the wrong model is no control here: {_on_wrong_model(attack)}, by chance or because it was trained on some "
        "of these recordings; this verdict rests on the redraws of the split"
    )


def domain(attack: AttackResult, family: Sequence[AttackResult]) -> str:
    """Explain that members differ from non-members, but not from siblings."""
    siblings = attack.versus_siblings
    assert siblings is not None
    return (
        f"the difference may be one of domain: members differ from non-members, where {_figures(attack, family)}, but "
        "not significantly from siblings, recordings of their source that were not trained on (AUROC "
        f"{siblings.auroc:.2f}, corrected {p_text(siblings.p_value)}); the model fits the members' source, and nothing "
        "shows that it was trained on these members"
    )


def works_on_wrong_model(attack: AttackResult, family: Sequence[AttackResult]) -> str:
    """Explain an attack that also works on the wrong model."""
    difference = attack.versus_wrong_model
    assert difference is not None  # `family_verdict` calls `leak` or `no_wrong_model` otherwise
    bound = f"lower bound {_signed(difference.lower95)}" if difference.lower95 > -1 else "no interval"
    comparison = (
        f"which is not significantly closer to chance (difference of the distances {_signed(difference.value)}, "
        f"{bound})"
    )
    return (
        f"{_figures(attack, family)}, but on {OTHER_MODEL} it has AUROC "
        f"{difference.auroc_wrong_model:.2f}, {comparison}, so that training on the members is not shown to be the "
        f"cause; {_power(family)}"
    )


def unexpected_sign(attack: AttackResult) -> str:
    """Explain a one-sided attack with a significant effect below 0.5."""
    assert attack.p_value_two_sided is not None
    difference = attack.versus_wrong_model
    wrong_model = "" if difference is None else f" (on {OTHER_MODEL}: {difference.auroc_wrong_model:.2f})"
    p_values = f"two-sided corrected {p_text(attack.p_value_two_sided)}, one-sided {p_text(decisive_p_value(attack))}"
    return (
        f"{attack.name} separates members from non-members in the unexpected direction: its AUROC is "
        f"{attack.auroc:.2f}{wrong_model}, {_interval(attack.auroc_ci95)}, {p_values}; members score lower, although "
        "training should raise their scores, so that the cause is unknown: check the labels, and how members and "
        "non-members were chosen"
    )


def no_separation(strongest: AttackResult, family: Sequence[AttackResult]) -> str:
    """Explain that no attack of a family works."""
    if len(family) == 1:
        return (
            f"the only {strongest.access} attack that was run ({_shadow_models(family)}) does not separate members "
            f"from non-members: {_figures(strongest)}; {_power(family)}"
        )
    return (
        f"none of {len(family)} {strongest.access} attacks that were run ({_shadow_models(family)}) separates members "
        "from non-members; "
        f"{_figures(strongest, name=f'the strongest, {strongest.name},')}; {_power(family)}"
    )


def missed_exposure(strongest: AttackResult, family: Sequence[AttackResult], exposure: Exposure) -> str:
    """Explain that the positive control failed."""
    best = max(exposure.results, key=lambda result: abs(result.auroc - 0.5))
    tried = {result.name for result in exposure.results}
    untried = [attack.name for attack in family if attack.name not in tried]
    if len(family) == 1:
        missed, silence = f"the only {strongest.access} attack misses", "that it finds"
    elif untried:
        missed = f"the {strongest.access} attacks that could run in it ({len(tried)} of {len(family)}) miss"
        silence = "that all of them find"
    else:
        missed, silence = f"all {len(family)} {strongest.access} attacks miss", "that they find"
    return (
        f"the positive control failed: {missed} recordings that this model was certainly trained on, even after "
        f"{exposure.times} epochs, where {_figures(best)}; {silence} nothing here, where {_figures(strongest)}, says "
        f"{'little' if untried else 'nothing'} about the model"
    )


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
    bound = max(f"{blind.upper95:.2f}", f"{blind.upper95:.3f}", key=lambda text: float(text) > largest)
    return (
        f"the split is too small to exclude confounding: {_blind_figures([blind])}, but its one-sided 95 % upper bound "
        f"is {bound}, above {largest:.2f}{refusal_clause(blind)}"
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

    The decisive reason is that of the first verdict; the others are only named.

    Args:
        status: overall.
        verdicts: of all families, the decisive one first.
    """
    if not verdicts:
        return "No attack was run, so there is nothing to assess."
    first, *others = verdicts
    clauses = []
    n_tested = sum(verdict.p_value is not None for verdict in verdicts)
    alone = [verdict for verdict in verdicts if status != "leak" and verdict.status == "leak"]
    for verdict in alone:
        assert verdict.p_value is not None and verdict.p_value_overall is not None
        clauses.append(
            f"at {verdict.family}, {verdict.attack} would be a leak if this were the only family of attacks "
            f"({p_text(verdict.p_value)}), but it is not after correction over all {n_tested} "
            f"({p_text(verdict.p_value_overall)})"
        )
    clauses.append(f"{first.family}: {first.reason}")
    if status == "leak" and n_tested > 1 and first.p_value_overall is not None:
        clauses.append(f"corrected over all {n_tested} families of attacks, {p_text(first.p_value_overall)}")
    same = [verdict for verdict in others if verdict.status == first.status == status]
    clauses += [f"the same verdict at {_enumerate(same)}"] if same else []
    for other in HEADINGS:
        rest = [verdict for verdict in others if verdict.status == other and verdict not in (*same, *alone)]
        clauses += [f"{HEADINGS[other]} at {_enumerate(rest)}"] if rest else []
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def decisive_p_value(attack: AttackResult) -> float:
    """Return the corrected p-value if there is one, else the other."""
    return attack.p_value if attack.p_value_corrected is None else attack.p_value_corrected


def p_text(value: float) -> str:
    """Format a p-value, as in "p = .012".

    >>> p_text(0.0123), p_text(0.0001)
    ('p = .012', 'p < .001')
    """
    return "p < .001" if value < 0.0005 else f"p = {value:.3f}".replace("0.", ".", 1)


def _figures(attack: AttackResult, family: Sequence[AttackResult] = (), name: str = "") -> str:
    """State AUROC, interval and p-value, and of how many attacks."""
    rank = f"; {_rank(family)}" if family else ""
    return (
        f"{name or attack.name} has AUROC {attack.auroc:.2f} ({_interval(attack.auroc_ci95)}, corrected "
        f"{p_text(decisive_p_value(attack))}{rank})"
    )


def _blind_figures(blind: Sequence[BlindResult]) -> str:
    return f"the blind baseline has {', '.join(map(_blind_figure, blind))}"


def _blind_figure(blind: BlindResult) -> str:
    p = p_text(decisive_p_value(blind.result))
    return f"AUROC {blind.result.auroc:.2f} ({p}) on {BLIND_KINDS[blind_kind(blind.result.name)]}"


def blind_kind(name: str) -> str:
    """Return what a blind baseline looks at.

    >>> blind_kind("blind_trained"), blind_kind("blind_content_trained")
    ('acoustics', 'content')
    """
    kind = name.removeprefix("blind_").split("_")[0]
    return kind if kind in BLIND_KINDS else "acoustics"


def _interval(bounds: Interval) -> str:
    return "95 % interval {:.2f} to {:.2f}".format(*bounds) if has_interval(bounds) else "no interval"


def _on_wrong_model(attack: AttackResult) -> str:
    difference = attack.versus_wrong_model
    assert difference is not None and difference.wrong_model_p_value is not None
    return (
        f"on it, {attack.name} has AUROC {difference.auroc_wrong_model:.2f} (two-sided corrected "
        f"{p_text(difference.wrong_model_p_value)})"
    )


def _of_hundred(rate: float) -> str:
    """Format a rate in per cent; below 10 with one decimal."""
    value = 100 * rate
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _rank(family: Sequence[AttackResult]) -> str:
    """Say of how many attacks this is the decisive one."""
    n, access = len(family), family[0].access
    tried = f"the only {access} attack that was run" if n == 1 else f"one of {n} {access} attacks that were run"
    return f"{tried}, {_shadow_models(family)}"


def _shadow_models(family: Sequence[AttackResult]) -> str:
    kind = "reference model" if any(attack.n_references for attack in family) else "shadow model"
    numbers = [number for attack in family if (number := attack.n_shadows or attack.n_references)]
    if not numbers:
        return "without shadow models"
    which = "" if len(numbers) == len(family) else f"{len(numbers)} of them "
    return f"{which}with {max(numbers)} {kind}{'' if max(numbers) == 1 else 's'}"


def _power(family: Sequence[AttackResult]) -> str:
    detectable = [attack.smallest_detectable_auroc for attack in family]
    largest = max((auroc for auroc in detectable if auroc is not None), default=1.0)
    if largest < 1:
        return f"an AUROC of {largest:.2f} would have been detected with 80 % power"
    return "this design detects no AUROC below 1 with 80 % power"


def _enumerate(verdicts: Sequence[LevelVerdict]) -> str:
    return " and ".join(
        verdict.family.question + ("" if verdict.access == "none" else f" with {verdict.access} access")
        for verdict in verdicts
    )
