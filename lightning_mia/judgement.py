"""From signals to results and a verdict: cheap, on the CPU, the same for every audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
from lightning_mia.split import Level, Part, Split


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Attributes:
        attacks: one result an attack and level.
        controls: the blind control first, then the attacks on models that cannot know the members.
        scores: of both.
        blind_upper95: level → one-sided 95 % upper bound of the blind AUROC, on the default recordings.
        verdict: per level and access, and overall.
    """

    attacks: tuple[AttackResult, ...]
    controls: tuple[AttackResult, ...]
    scores: tuple[Scores, ...]
    blind_upper95: Mapping[str, float]
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
    parts = [(level, part) for level in split.levels for part in split.parts(level)]
    blind = {(level, part): _blind(statistics, split, level, part, settings) for level, part in parts}
    scores: dict[str, list[Scores]] = {"target": [], **{kind: [] for kind in controls}}
    blind_of: dict[tuple[str, str], Scores] = {}
    wrong: dict[tuple[str, str], Scores] = {}
    for level, part in parts:
        for kind, signals in {**({"target": target} if target else {}), **controls}.items():
            found = score_attacks(attacks, signals, split, level, part)
            if kind == "wrong_model":
                wrong |= {(one.name, level): one for one in found}
            if kind != "target":
                found = [as_control(one, kind) for one in found]
            scores[kind] += found
            blind_of |= {(one.name, level): blind[level, part][0] for one in found}
    attacking = scores.pop("target")
    controlling = [one for many in scores.values() for one in many]
    results = evaluate(
        [*attacking, *controlling], split.redraw, settings, wrong_model=wrong, blind=blind_of, progress=True
    )
    blind_results = [result for _, result in blind.values()]
    verdict = (
        give_verdict(results[: len(attacking)], blind_results, drawn=split.drawn)
        if target
        else give_blind_verdict(blind_results, drawn=split.drawn, level=split.level)
    )
    return Judgement(
        attacks=tuple(results[: len(attacking)]),
        controls=(*(one.result for one in blind_results), *results[len(attacking) :]),
        scores=(*attacking, *(one for one, _ in blind.values()), *controlling),
        blind_upper95={one.result.level: one.upper95 for one in blind_results if one.result.name == "blind"},
        verdict=verdict,
    )


def _blind(
    statistics: pd.DataFrame, split: Split, level: Level, part: Part, settings: EvaluationSettings
) -> tuple[Scores, BlindResult]:
    """The blind control of one set of judged recordings; the default one of its level is called plain `blind`."""
    challenge = split.challenge(level, part)
    redraws = split.redraw(list(challenge["unit_id"].unique()), level, settings.n_redraws, settings.seed)
    control = blind_control(statistics, challenge, redraws, level)
    name = "blind" if part == split.parts(level)[0] else f"blind_{part}"
    scores = replace(control.scores, name=name)
    return scores, evaluate_blind(scores, control.redrawn_values, control.redrawn_labels, settings)
