"""Run and evaluate all attacks, and give the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lightning_mia.attacks import Attack
from lightning_mia.attacks.base import ShadowModels
from lightning_mia.attacks.runner.scoring import Scored, as_control, models_for
from lightning_mia.audit.blind_baselines import BlindBaselines, results_of, scores_of, size_notes
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.as_targets import by_number_of_shadow_models, each_as_target
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import (
    AttackResult,
    BlindResult,
    Context,
    EachAsTarget,
    EvaluationSettings,
    Exposure,
    Scores,
    SubsetResult,
    Verdict,
    VersusSiblings,
    evaluate_scores,
    give_blind_verdict,
    give_verdict,
)
from lightning_mia.evaluation.dataset_inference import DatasetInference, dataset_inference
from lightning_mia.evaluation.privacy import EpsilonBound, Privacy, lower_bounds, strongest_lower_bound
from lightning_mia.evaluation.reasons import decisive_p_value
from lightning_mia.evaluation.scores import Key, group_by_family, group_by_units
from lightning_mia.models.outputs import CTC_SCORE, PRETEXT_SCORE
from lightning_mia.signals.features.error_rates import error_rates
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Part, Split
from lightning_mia.training.dp_sgd import describe
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class AuditOutcome:
    """Results of all attacks and controls, and the verdict.

    Attributes:
        attacks: one result per attack and level.
        controls: the blind baselines, then attacks that follow their paper's protocol and attacks on control models.
        scores: scores of attacks and controls.
        blind_upper95: level → one-sided 95 % upper bound of the blind baseline's AUROC, on the level's default part.
        verdict: per level and access, and overall.
        dataset_inference: tests of all members together; see `infer_datasets`.
        notes: attacks that could not run, and other remarks for the report.
    """

    attacks: tuple[AttackResult, ...]
    controls: tuple[AttackResult, ...]
    scores: tuple[Scores, ...]
    blind_upper95: Mapping[str, float]
    verdict: Verdict
    dataset_inference: tuple[DatasetInference, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate_attacks(
    attacks: Sequence[Attack],
    models: Mapping[str, ProbedModel],
    blind: BlindBaselines,
    split: Split,
    settings: EvaluationSettings,
    fleet: TrainedShadowModels | None = None,
    *,
    take_turns: bool = True,
    list_skipped: bool = False,
    seed: int = 0,
    obstacle: str = "",
    largest_exposure: Exposure | None = None,
) -> AuditOutcome:
    """Run and evaluate the attacks and controls of an audit.

    The attacks run on the target and on the control models.

    Args:
        attacks: the attacks.
        models: "target", and the control models ("untrained", "wrong_model").
        blind: from `blind_baselines`.
        split: members and non-members; redraws them for p-values.
        settings: evaluation settings.
        fleet: the shadow models; None leaves out attacks that need them.
        take_turns: also evaluate the attacks with each shadow model as target.
        list_skipped: list attacks that cannot run in the notes.
        seed: seed of randomised attacks.
        obstacle: reason outside the split that prevents a verdict.
        largest_exposure: of the positive control, if any.

    Raises:
        InputError: no attack can run.
    """
    target = models["target"]
    shadows = fleet.shadows if fleet else None
    on_target = {part: target.scored(attacks, split, *part, seed, shadows) for part in blind}
    on_controls = {part: _score_controls(models, on_target[part], split, *part, seed, fleet) for part in blind}
    attack_scores = [score for scored in on_target.values() for score in scored.scores if score.access != "none"]
    control_scores = [score for part in blind for score in (*_paper_protocol(on_target[part]), *on_controls[part])]
    skipped = [line for scored in on_target.values() for line in scored.skipped]
    if not attack_scores:
        reason = "; ".join(skipped) or "none supports a level of this split, or all follow their paper's protocol"
        raise InputError(f"No attack can give a verdict: {reason}; choose other attacks")

    each: Mapping[Key, EachAsTarget] = {}
    fewer: Mapping[Key, tuple[SubsetResult, ...]] = {}
    if fleet:
        ran = list({attack.name: attack for scored in on_target.values() for attack in scored.ran}.values())
        each = each_as_target(ran, fleet, split, list(blind), settings, seed) if take_turns else {}
        if not fleet.shadows.are_references:
            fewer = by_number_of_shadow_models(ran, target, fleet, split, list(blind), settings, seed)
    siblings, sibling_results = _siblings(attacks, target, split, settings, seed, shadows)
    contexts: dict[Key, Context] = {}
    for part, ((acoustics, _), *_) in blind.items():
        contexts |= _contexts(on_target[part], on_controls[part], acoustics, target, shadows, each, fewer)
    contexts |= {
        key: replace(contexts[key], versus_siblings=VersusSiblings(result.auroc, decisive_p_value(result)))
        for key, result in sibling_results.items()
        if key in contexts
    }

    contexts = {key: replace(context, exposures=split.unit_exposures(key[1])) for key, context in contexts.items()}
    results = evaluate_scores([*attack_scores, *control_scores], split.redraw, settings, contexts, progress=True)
    attack_results, control_results = tuple(results[: len(attack_scores)]), tuple(results[len(attack_scores) :])
    blind_scores, blind_results = scores_of(blind), results_of(blind)
    notes = [*(skipped if list_skipped else []), *_error_rates(target.signals, split)]
    return AuditOutcome(
        attacks=attack_results,
        controls=(
            *(control.result for control in blind_results),
            *control_results,
            *(replace(result, name=f"sibling_{result.name}", access="none") for result in sibling_results.values()),
        ),
        scores=(*attack_scores, *blind_scores, *control_scores, *(as_control(score, "sibling") for score in siblings)),
        blind_upper95=_upper_bounds(blind_results),
        verdict=give_verdict(
            attack_results,
            blind_results,
            drawn=split.drawn,
            largest_exposure=largest_exposure,
            obstacle=obstacle,
        ),
        dataset_inference=infer_datasets(attack_results, attack_scores, split, settings),
        notes=tuple(dict.fromkeys(notes)),
    )


def evaluate_split(blind: BlindBaselines, split: Split) -> AuditOutcome:
    """Give the verdict on a split, without any model.

    Args:
        blind: from `blind_baselines`.
        split: members and non-members.
    """
    blind_scores, blind_results = scores_of(blind), results_of(blind)
    return AuditOutcome(
        attacks=(),
        controls=tuple(control.result for control in blind_results),
        scores=blind_scores,
        blind_upper95=_upper_bounds(blind_results),
        verdict=give_blind_verdict(blind_results, drawn=split.drawn, level=split.level),
        notes=size_notes(blind, split),
    )


def _score_controls(
    models: Mapping[str, ProbedModel],
    on_target: Scored,
    split: Split,
    level: Level,
    part: Part,
    seed: int,
    fleet: TrainedShadowModels | None,
) -> list[Scores]:
    """Run the attacks of the target on the control models.

    A wrong model that is a reference model too is compared with the others; without any, its signals are scored alone.
    """
    scores = []
    for kind, model in models.items():
        if kind == "target":
            continue
        shadows = fleet.shadows if fleet else None
        is_reference = fleet is not None and kind == "wrong_model" and fleet.wrong_model is not None
        if fleet and is_reference:
            shadows = fleet.shadows.take(np.arange(len(fleet.shadows)) != fleet.wrong_model)
        scored = model.scored(on_target.ran, split, level, part, seed, shadows)
        scores += [as_control(score, kind) for score in scored.scores]
        if is_reference:
            rest = [attack for attack in on_target.ran if attack not in scored.ran and attack.min_shadows]
            alone = model.scored(rest, split, level, part, seed, shadows, alone=True)
            scores += [as_control(score, kind) for score in alone.scores]
    return scores


def _siblings(
    attacks: Sequence[Attack],
    target: ProbedModel,
    split: Split,
    settings: EvaluationSettings,
    seed: int,
    shadows: ShadowModels | None,
) -> tuple[list[Scores], dict[Key, AttackResult]]:
    """Attack the target with siblings in place of the non-members.

    Returns scores and results by (name, level); both are empty without siblings.
    """
    siblings = split.sibling_split()
    if siblings is None:
        return [], {}
    scores = [
        score
        for level in siblings.levels
        for part in siblings.parts(level)
        for score in target.scored(attacks, siblings, level, part, seed, shadows).scores
        if score.access != "none"
    ]
    return scores, {result.key: result for result in evaluate_scores(scores, siblings.redraw, settings)}


def _paper_protocol(on_target: Scored) -> list[Scores]:
    """Select the attacks that follow their paper's protocol.

    They count as controls, because they are fitted on evaluated non-members.
    """
    return [score for score in on_target.scores if score.access == "none"]


def _contexts(
    on_target: Scored,
    on_controls: Sequence[Scores],
    blind: Scores,
    target: ProbedModel,
    shadows: ShadowModels | None,
    each: Mapping[Key, EachAsTarget],
    fewer: Mapping[Key, tuple[SubsetResult, ...]],
) -> dict[Key, Context]:
    """Collect the contexts of one level and part."""
    contexts = {score.key: Context(blind=blind) for score in on_controls}
    controls = {score.name: score for score in on_controls}
    for score, attack in zip(on_target.scores, on_target.ran, strict=True):
        key = score.key
        wrong_model = controls.get(as_control(score, "wrong_model").name)
        if score.access == "none":
            contexts[key] = Context(blind=blind)
        else:
            n_models = len(models_for(attack, shadows)) if shadows and attack.min_shadows else 0
            are_references = shadows is not None and shadows.are_references
            contexts[key] = Context(
                wrong_model,
                blind,
                n_shadows=0 if are_references else n_models,
                queries=_queries(attack, target.signals),
                in_turn=each.get(key),
                with_fewer=fewer.get(key, ()),
                n_references=n_models if are_references else 0,
            )
    return contexts


def _queries(attack: Attack, signals: Signals) -> int | None:
    """Count an attack's queries per recording.

    None if the attack reads hidden states.
    """
    if attack.needs_frames:
        return None
    passes = signals.n_draws(attack.needs_signal) if attack.needs_signal else 1
    n_masks = max(signals.n_draws(PRETEXT_SCORE), 1)
    return passes + sum(group.queries_with(n_masks) for group in attack.groups)


def infer_datasets(
    attacks: Sequence[AttackResult], scores: Sequence[Scores], split: Split, settings: EvaluationSettings
) -> tuple[DatasetInference, ...]:
    """Test whether the members, taken together, were trained on.

    One attack per family is tested: the one with the largest mean AUROC over the shadow models as targets.
    Choosing it by the target's own members would invalidate the p-value. Without shadow models as targets, every attack
    is tested.

    Args:
        attacks: results of the attacks.
        scores: scores of the same attacks.
        split: redraws the labels.
        settings: evaluation settings.
    """
    families = group_by_family(attacks)
    chosen = [
        (attack.name, attack.level)
        for family in families.values()
        for attack in ([max(family, key=_mean_auroc)] if any(attack.in_turn for attack in family) else family)
    ]
    groups = group_by_units(score for score in scores if score.key in chosen)
    inferences = [dataset_inference(group, split.redraw, settings, progress=True) for group in groups]
    return tuple(inference for group in inferences for inference in group)


def _mean_auroc(attack: AttackResult) -> float:
    return attack.in_turn.auroc_mean if attack.in_turn else -1.0


def _error_rates(signals: Signals, split: Split) -> list[str]:
    """Report transcription error rates; empty for other models."""
    if not signals.has(CTC_SCORE):
        return []
    rates = error_rates(signals, split.challenge("utterance"))
    parts = [
        f"{row.word_error_rate:.1%} of words and {row.character_error_rate:.1%} of characters of {group}"
        for group, row in zip(rates.index, rates.itertuples(), strict=True)
    ]
    return [f"Errors of greedy transcription: {', '.join(parts)}."]


def _upper_bounds(controls: Sequence[BlindResult]) -> dict[str, float]:
    """Return each level's upper bound, on its default part."""
    return {control.result.level: control.upper95 for control in controls if control.result.name == "blind"}


def epsilon_bounds(target: Trained, outcome: AuditOutcome, split: Split, delta: float) -> tuple[EpsilonBound, ...]:
    """Return every attack's lower bound on ε.

    Empty for a user-supplied split: nothing is known about the chance by which its members were chosen.

    Args:
        target: the trained target.
        outcome: results of the attacks.
        split: of the target; a bound is about its unit, a recording or a speaker.
        delta: δ of the bounds if the target was trained without a proven bound.
    """
    scores = [score for score in outcome.scores if score.access != "none" and score.level == split.level]
    if not split.drawn or not scores:
        return ()
    return lower_bounds(scores, _proven(target).get("delta", delta), independent=_is_independent(split))


def privacy_bounds(target: Trained, outcome: AuditOutcome, split: Split, delta: float) -> Privacy:
    """Return the proven and the empirical bound on ε.

    Args:
        target: the trained target.
        outcome: results of the attacks; only attacks on utterances count.
        split: of the target.
        delta: δ of the lower bound if the target was trained without a proven bound.
    """
    proven, independent = _proven(target), _is_independent(split)
    delta = proven.get("delta", delta)
    scores = [score for score in outcome.scores if score.level == "utterance" and score.access != "none"]
    epsilon_shown, attack = strongest_lower_bound(scores, delta, independent=independent) if scores else (None, "")
    return Privacy(
        delta=delta,
        epsilon=proven.get("epsilon"),
        epsilon_shown=epsilon_shown,
        shown_by=attack if epsilon_shown else "",
        clip_norm=proven.get("clip_norm"),
        noise_multiplier=proven.get("noise_multiplier"),
        method="one_run" if independent else "rates",
    )


def privacy_notes(target: Trained, privacy: Privacy | None) -> list[str]:
    """Describe both privacy bounds; empty without DP-SGD."""
    proven = target.record.get("privacy")
    if proven is None or privacy is None:
        return []
    if privacy.epsilon_shown is None:
        return [describe(proven)]
    lower_bound = (
        f"{privacy.shown_by} shows that ε ≥ {privacy.epsilon_shown:.2g}"
        if privacy.epsilon_shown
        else "no attack shows that ε is above 0"
    )
    method = {
        "one_run": "one-run bound, arXiv 2305.08846",
        "rates": "approximate: log((TPR − δ) / FPR) with recordings as independent trials",
    }[privacy.method]
    return [
        describe(proven),
        f"Empirically, {lower_bound} (95 %, {method}, corrected for the number of attacks).",
    ]


def _proven(target: Trained) -> dict[str, Any]:
    """Return the proven bound of the training; empty without one."""
    return target.record.get("privacy") or {}


def _is_independent(split: Split) -> bool:
    """Whether a fair coin decided for each unit."""
    return split.drawn and split.inclusion == "independent"
