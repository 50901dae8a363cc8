"""From signals to results and a verdict: cheap, on the CPU, the same for every audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lightning_mia.attacks import Attack
from lightning_mia.attacks.scoring import as_control, score_attacks
from lightning_mia.controls.blind import blind_control
from lightning_mia.evaluation import (
    AttackResult,
    BlindResult,
    EvaluationSettings,
    Scores,
    Verdict,
    evaluate,
    evaluate_blind,
    give_blind_verdict,
    give_verdict,
)
from lightning_mia.probe.signals import Signals
from lightning_mia.split import Split


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Attributes:
        attacks: one result an attack and level.
        controls: the blind control first, then the attacks on models that cannot know the members.
        scores: of both.
        blind: the blind controls, by level.
        verdict: per level and access, and overall.
    """

    attacks: tuple[AttackResult, ...]
    controls: tuple[AttackResult, ...]
    scores: tuple[Scores, ...]
    blind: Mapping[str, BlindResult]
    verdict: Verdict


def judge(
    attacks: Sequence[Attack],
    target: Signals | None,
    controls: Mapping[str, Signals],
    statistics: pd.DataFrame,
    split: Split,
    settings: EvaluationSettings,
) -> Judgement:
    """Run the attacks on the target and on the control models, and judge them beside the blind control.

    Args:
        attacks: the attacks.
        target: signals of the target; None for the blind check of a split alone.
        controls: kind of control ("untrained", "wrong_model") → signals of its model.
        statistics: model-free statistics of the recordings, index = id.
        split: who is a member, and how that was drawn.
        settings: of the evaluation.
    """
    blind_scores, blind = judge_blind(statistics, split, settings)
    scores = score_attacks(attacks, target, split) if target else []
    of_controls = {kind: score_attacks(attacks, signals, split) for kind, signals in controls.items()}
    controlling = [as_control(one, kind) for kind, many in of_controls.items() for one in many]
    wrong_model = {(one.name, one.level): one for one in of_controls.get("wrong_model", [])}
    results = evaluate(
        [*scores, *controlling],
        split.redraw,
        settings,
        wrong_model=wrong_model,
        blind=blind_scores,
        progress=True,
    )
    found, checked = results[: len(scores)], results[len(scores) :]
    return Judgement(
        attacks=tuple(found),
        controls=(*(one.result for one in blind.values()), *checked),
        scores=(*scores, *blind_scores.values(), *controlling),
        blind=blind,
        verdict=(
            give_verdict(found, list(blind.values()), drawn=split.drawn)
            if target
            else give_blind_verdict(list(blind.values()), drawn=split.drawn)
        ),
    )


def judge_blind(
    statistics: pd.DataFrame, split: Split, settings: EvaluationSettings
) -> tuple[dict[str, Scores], dict[str, BlindResult]]:
    """The blind control at every level of the split: its scores and its results, by level."""
    scores: dict[str, Scores] = {}
    results: dict[str, BlindResult] = {}
    for level in split.levels:
        challenge = split.challenge(level)
        units = list(challenge["unit_id"].unique())
        redraws = split.redraw(units, level, settings.n_redraws, settings.seed)
        control = blind_control(statistics, challenge, redraws, level)
        scores[level] = control.scores
        results[level] = evaluate_blind(control.scores, control.redrawn_values, control.redrawn_labels, settings)
    return scores, results
