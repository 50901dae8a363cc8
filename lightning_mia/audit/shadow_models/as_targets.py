"""Evaluate attacks on shadow models, and with fewer of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lightning_mia.attacks import Attack
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import EachAsTarget, EvaluationSettings, Scores, SubsetResult, estimate
from lightning_mia.evaluation.scores import Key
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.roc import tpr_at_fpr
from lightning_mia.splits import Level, Part, Split
from lightning_mia.utilities.progress_bar import tqdm


def each_as_target(
    attacks: Sequence[Attack],
    shadow_models: TrainedShadowModels,
    split: Split,
    parts: Sequence[tuple[Level, Part]],
    settings: EvaluationSettings,
    seed: int,
) -> dict[Key, EachAsTarget]:
    """Attack each shadow model with the others, except its partner.

    The partner was trained on exactly the challenge units that the model was not trained on: if it stayed among the
    shadow models, a unit's number of IN models would reveal its label.

    Args:
        attacks: attacks that ran on the target.
        shadow_models: the shadow models.
        split: membership of every model.
        parts: levels and parts to evaluate.
        settings: evaluation settings.
        seed: seed of randomised attacks.

    Returns:
        One summary per attack and level; empty if the shadow models were trained on auxiliary recordings.
    """
    shadows = shadow_models.shadows
    if shadows.pool is not None:
        return {}
    scores: dict[Key, list[tuple[Scores, np.ndarray]]] = {}  # with the members of the model under attack
    for number, model in enumerate(tqdm(shadow_models.probed, desc="Each shadow model as target", unit="model")):
        others = shadows.without_pair_of(number)
        trained_on = shadows.members.iloc[:, number]
        for level, part in parts:
            challenge = split.challenge(level, part).drop_duplicates("unit_id")
            members = trained_on.loc[challenge["id"]].to_numpy(dtype=bool)
            for score in model.scored(attacks, split, level, part, seed, others).scores:
                scores.setdefault(score.key, []).append((score, members))
    return {key: _summarise(attack_scores, settings.fprs) for key, attack_scores in scores.items()}


def _summarise(scores: Sequence[tuple[Scores, np.ndarray]], fprs: Sequence[float]) -> EachAsTarget:
    aurocs = [labelled_aurocs(score.values, members[None])[0] for score, members in scores]
    wrong_model_aurocs = [labelled_aurocs(score.values, score.members[None])[0] for score, _ in scores]
    tprs = [[tpr_at_fpr(replace(score, members=members), fpr).tpr for fpr in fprs] for score, members in scores]
    return EachAsTarget(
        n_targets=len(scores),
        auroc_mean=float(np.mean(aurocs)),
        auroc_sd=_standard_deviation(aurocs),
        tpr_mean=tuple(np.mean(tprs, axis=0).tolist()),
        wrong_model_auroc_mean=float(np.mean(wrong_model_aurocs)),
        wrong_model_auroc_sd=_standard_deviation(wrong_model_aurocs),
    )


def _standard_deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def by_number_of_shadow_models(
    attacks: Sequence[Attack],
    target: ProbedModel,
    shadow_models: TrainedShadowModels,
    split: Split,
    parts: Sequence[tuple[Level, Part]],
    settings: EvaluationSettings,
    seed: int,
) -> Mapping[Key, tuple[SubsetResult, ...]]:
    """Attack the target with fewer shadow models.

    The first 2, 4, 8, … of them, but never all.

    Args:
        attacks: attacks that ran on the target; those without shadow models are left out.
        target: the target.
        shadow_models: the shadow models.
        split: membership of every model.
        parts: levels and parts to evaluate.
        settings: evaluation settings.
        seed: seed of randomised attacks.
    """
    shadows = shadow_models.shadows
    shadow_attacks = [attack for attack in attacks if attack.min_shadows]
    results: dict[Key, tuple[SubsetResult, ...]] = {}
    for size in tqdm(list(_sizes(len(shadows))), desc="Fewer shadow models", unit="size"):
        subset = shadows.take(np.arange(size))
        for level, part in parts:
            for score in target.scored(shadow_attacks, split, level, part, seed, subset).scores:
                results[score.key] = (*results.get(score.key, ()), SubsetResult(size, *estimate(score, settings)))
    return results


def _sizes(n_shadows: int) -> Iterator[int]:
    """Yield the powers of two below `n_shadows`.

    >>> list(_sizes(12)), list(_sizes(8))
    ([2, 4, 8], [2, 4])
    """
    size = 2
    while size < n_shadows:
        yield size
        size *= 2
