"""From signals to results and a verdict: cheap, on the CPU, the same for every audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from lightning_mia.attacks import Attack
from lightning_mia.attacks.runner.scoring import as_control
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.as_targets import Key, in_turn, with_fewer
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import (
    AttackResult,
    BlindResult,
    EvaluationSettings,
    InTurn,
    Scores,
    Verdict,
    WithFewer,
    evaluate,
    evaluate_blind,
    give_blind_verdict,
    give_verdict,
)
from lightning_mia.evaluation.dataset_inference import DatasetInference, dataset_inference
from lightning_mia.evaluation.privacy import Privacy, strongest_lower_bound
from lightning_mia.evaluation.scores import by_units
from lightning_mia.models.ctc import CTC_SCORE
from lightning_mia.signals.features.error_rates import error_rates
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Part, Split
from lightning_mia.splits.blind_baseline.classifier import blind_control
from lightning_mia.training.dp_sgd import describe
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class AuditOutcome:
    """What was found.

    Attributes:
        attacks: one result an attack and level.
        controls: the blind control first, then the attacks on models that cannot know the members.
        scores: of both.
        blind_upper95: level → one-sided 95 % upper bound of the blind AUROC, on the default recordings.
        verdict: per level and access, and overall.
        dataset_inference: one p-value for all members together; see `whole_sets`.
        notes: attacks that could not run, and what else the reader should know.
    """

    attacks: tuple[AttackResult, ...]
    controls: tuple[AttackResult, ...]
    scores: tuple[Scores, ...]
    blind_upper95: Mapping[str, float]
    verdict: Verdict
    dataset_inference: tuple[DatasetInference, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Found:
    """Scores before they are judged."""

    attacking: list[Scores]
    controlling: list[Scores]
    wrong: dict[tuple[str, str], Scores]
    blind_of: dict[tuple[str, str], Scores]
    ran: dict[tuple[str, str], Attack]
    notes: list[str]


def evaluate_attacks(
    attacks: Sequence[Attack],
    models: Mapping[str, ProbedModel],
    statistics: pd.DataFrame,
    split: Split,
    settings: EvaluationSettings,
    fleet: TrainedShadowModels | None = None,
    *,
    take_turns: bool = True,
    named: bool = False,
    seed: int = 0,
) -> AuditOutcome:
    """Run the attacks on the target and on the control models, and judge them beside the blind control.

    Args:
        attacks: the attacks.
        models: "target", and the kinds of controls ("untrained", "wrong_model"); empty for the blind check of a
            split alone.
        statistics: model-free statistics of the recordings, index = id.
        split: who is a member, and how that was drawn.
        settings: of the evaluation.
        fleet: the shadow models; None: attacks that need some are left out.
        take_turns: also put each shadow model in the target's place.
        named: the user named these attacks, and is told of each that cannot run.
        seed: of whatever attacks draw at random.

    Raises:
        InputError: not one of the attacks can run.
    """
    parts = [(level, part) for level in split.levels for part in split.parts(level)]
    blind = {(level, part): _blind(statistics, split, level, part, settings) for level, part in parts}
    found = _score(attacks, models, split, {key: scores for key, (scores, _) in blind.items()}, seed, fleet)
    if models and not found.attacking:
        reason = "; ".join(found.notes) or "none has a level of this split, or all of them follow the paper's protocol"
        raise InputError(f"There is no attack that a verdict could rest on: {reason}; name another")
    results = evaluate(
        [*found.attacking, *found.controlling],
        split.redraw,
        settings,
        wrong_model=found.wrong,
        blind=found.blind_of,
        progress=True,
    )
    n_attacks = len(found.attacking)
    attacked = [
        _with_costs(one, found.ran[one.name, one.level], models["target"].signals, fleet) for one in results[:n_attacks]
    ]
    if fleet:
        ran = list({attack.name: attack for attack in found.ran.values()}.values())
        turns = in_turn(ran, fleet, split, parts, settings, seed) if take_turns else {}
        fewer = with_fewer(ran, models["target"], fleet, split, parts, settings, seed)
        attacked = [_with_fleet(one, turns, fewer) for one in attacked]
    blind_results = [result for _, result in blind.values()]
    verdict = (
        give_verdict(attacked, blind_results, drawn=split.drawn)
        if models
        else give_blind_verdict(blind_results, drawn=split.drawn, level=split.level)
    )
    notes = [*(found.notes if named else []), *(_error_rates(models["target"].signals, split) if models else [])]
    return AuditOutcome(
        attacks=tuple(attacked),
        controls=(*(one.result for one in blind_results), *results[n_attacks:]),
        scores=(*found.attacking, *(one for one, _ in blind.values()), *found.controlling),
        blind_upper95={one.result.level: one.upper95 for one in blind_results if one.result.name == "blind"},
        verdict=verdict,
        dataset_inference=whole_sets(attacked, found.attacking, split, settings),
        notes=tuple(dict.fromkeys(notes)),
    )


def _score(
    attacks: Sequence[Attack],
    models: Mapping[str, ProbedModel],
    split: Split,
    blind: Mapping[tuple[Level, Part], Scores],
    seed: int,
    fleet: TrainedShadowModels | None,
) -> _Found:
    """Scores of every attack on every model; a control only stands beside an attack that ran on the target."""
    found = _Found([], [], {}, {}, {}, [])
    for (level, part), blind_scores in blind.items():
        ran: Sequence[Attack] = attacks
        for kind, asked in models.items():
            scored = asked.scored(ran, split, level, part, seed, fleet.shadows if fleet else None)
            of_model = scored.scores
            if kind == "target":
                ran = scored.ran
                found.ran.update({(one.name, level): attack for one, attack in zip(of_model, ran, strict=True)})
                found.notes.extend(scored.skipped)
                found.attacking.extend(one for one in of_model if one.access != "none")
                found.controlling.extend(one for one in of_model if one.access == "none")  # after the paper's protocol
            else:
                if kind == "wrong_model":
                    found.wrong.update({(one.name, level): one for one in of_model})
                of_model = [as_control(one, kind) for one in of_model]
                found.controlling.extend(of_model)
            found.blind_of.update({(one.name, level): blind_scores for one in of_model})
    return found


def whole_sets(
    attacks: Sequence[AttackResult], scores: Sequence[Scores], split: Split, settings: EvaluationSettings
) -> tuple[DatasetInference, ...]:
    """Were the members, taken together, trained on? By one attack for each level and access.

    It is the attack that does best with the shadow models in the target's place: choosing by the target's own members
    would spoil the p-value. Without a fleet there is nothing to choose by, and every attack has its own.

    Args:
        attacks: their results.
        scores: of the same attacks.
        split: how members were drawn.
        settings: of the evaluation.
    """

    def in_turn_of(attack: AttackResult) -> float:
        return attack.in_turn.auroc_mean if attack.in_turn else -1.0

    families: dict[tuple[str, str], list[AttackResult]] = {}
    for attack in attacks:
        families.setdefault((attack.level, attack.access), []).append(attack)
    chosen = [
        attack
        for family in families.values()
        for attack in ([max(family, key=in_turn_of)] if any(one.in_turn for one in family) else family)
    ]
    wanted = {(attack.name, attack.level) for attack in chosen}
    of_units = by_units(one for one in scores if (one.name, one.level) in wanted)
    found = [dataset_inference(of_set, split.redraw, settings, progress=True) for of_set in of_units]
    return tuple(one for of_set in found for one in of_set)


def _with_fleet(
    result: AttackResult, turns: Mapping[Key, InTurn], fewer: Mapping[Key, tuple[WithFewer, ...]]
) -> AttackResult:
    """The result with its turns, and its curve over the number of shadow models: its own figures are the last point."""
    key = (result.name, result.level)
    whole = WithFewer(result.n_shadows, result.auroc, result.auroc_ci95, result.tpr_at_fpr)
    points = (*fewer.get(key, ()), whole) if result.n_shadows else ()
    return replace(result, in_turn=turns.get(key), with_fewer=points)


def _with_costs(
    result: AttackResult, attack: Attack, signals: Signals, fleet: TrainedShadowModels | None
) -> AttackResult:
    """The result with the shadow models and the queries that it took."""
    n_shadows = len(fleet.shadows) if fleet and attack.least_shadows else 0
    plain = signals.n_draws(attack.needs_signal) if attack.needs_signal else 1
    queries = None if attack.needs_frames else plain + sum(group.queries for group in attack.groups)
    return replace(result, n_shadows=n_shadows, queries=queries)


def _error_rates(signals: Signals, split: Split) -> list[str]:
    """How well a fine-tuned model transcribes either side, in a sentence; nothing where it does not transcribe."""
    if not signals.has(CTC_SCORE):
        return []
    rates = error_rates(signals, split.challenge("utterance"))
    told = [
        f"{row.word_error_rate:.1%} of words and {row.character_error_rate:.1%} of characters of {side}"
        for side, row in zip(rates.index, rates.itertuples(), strict=True)
    ]
    return [f"Greedy transcription gets wrong {', '.join(told)}."]


def _blind(
    statistics: pd.DataFrame, split: Split, level: Level, part: Part, settings: EvaluationSettings
) -> tuple[Scores, BlindResult]:
    """The blind control of one set of judged recordings; the default one of its level is called plain `blind`."""
    challenge = split.challenge(level, part)
    redraws = split.redraw(list(challenge["unit_id"].unique()), level, settings.n_redraws, settings.seed)
    control = blind_control(statistics, challenge, redraws, level)
    name = "blind" if part == split.parts(level)[0] else f"blind_{part}"
    scores = replace(control.scores, name=name)
    return scores, evaluate_blind(scores, control.redrawn_aurocs, control.redrawn_advantages, settings)


def privacy_of(target: Trained, judgement: AuditOutcome, delta: float) -> Privacy:
    """Both bounds on ε, for one recording more or less.

    Args:
        target: the model that was trained.
        judgement: of the attacks; those on single recordings count.
        delta: at which the lower bound is given where the training proves none.
    """
    proved: dict[str, Any] = target.record.get("privacy") or {}
    delta = proved.get("delta", delta)
    scores = [one for one in judgement.scores if one.level == "utterance" and one.access != "none"]
    shown, by = strongest_lower_bound(scores, delta) if scores else (None, "")
    return Privacy(
        delta=delta,
        epsilon=proved.get("epsilon"),
        epsilon_shown=shown,
        shown_by=by if shown else "",
        clip_norm=proved.get("clip_norm"),
        noise_multiplier=proved.get("noise_multiplier"),
    )


def privacy_notes(target: Trained, privacy: Privacy | None) -> list[str]:
    """Both bounds of a training on clipped gradients, a sentence each; nothing for any other training."""
    proved = target.record.get("privacy")
    if proved is None or privacy is None:
        return []
    if privacy.epsilon_shown is None:
        return [describe(proved)]
    shown = (
        f"{privacy.shown_by} shows that ε ≥ {privacy.epsilon_shown:.2g}"
        if privacy.epsilon_shown
        else "no attack shows that ε is above 0"
    )
    return [
        describe(proved),
        f"Beside that bound from above, {shown} (95 %, log((TPR − δ) / FPR), all attacks counted).",
    ]
