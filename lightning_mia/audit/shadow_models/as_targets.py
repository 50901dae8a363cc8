"""What a fleet says beside the one target: every shadow model as the target in turn, and the fleet in part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from lightning_mia.attacks import Attack
from lightning_mia.audit.probed_model import ProbedModel
from lightning_mia.audit.shadow_models.trained import TrainedShadowModels
from lightning_mia.evaluation import EvaluationSettings, InTurn, Scores, WithFewer, estimate
from lightning_mia.evaluation.statistics.auroc import auroc_of_labels
from lightning_mia.evaluation.statistics.roc import tpr_at_fpr
from lightning_mia.splits import Level, Part, Split

Key = tuple[str, str]  # name and level of an attack


def in_turn(
    attacks: Sequence[Attack],
    fleet: TrainedShadowModels,
    split: Split,
    parts: Sequence[tuple[Level, Part]],
    settings: EvaluationSettings,
    seed: int,
) -> dict[Key, InTurn]:
    """Put each shadow model in the target's place, and its partner out of the fleet.

    Args:
        attacks: those that ran on the target.
        fleet: the shadow models; where they never saw a challenge unit there are no turns to take.
        split: who is a member for whom.
        parts: levels and parts that are judged.
        settings: of the evaluation.
        seed: of whatever attacks draw at random.
    """
    if fleet.shadows.pool is not None:
        return {}
    scores: dict[Key, list[tuple[Scores, np.ndarray]]] = {}
    places = tqdm(range(len(fleet.probed)), desc="Each model as the target in turn", unit="model")
    for place in places:
        others = fleet.shadows.without_pair_of(place)
        column = fleet.shadows.members.iloc[:, place]
        for level, part in parts:
            challenge = split.challenge(level, part).drop_duplicates("unit_id")
            members = column.loc[challenge["id"]].to_numpy(dtype=bool)
            for one in fleet.probed[place].scored(attacks, split, level, part, seed, others).scores:
                scores.setdefault((one.name, one.level), []).append((one, members))
    return {key: _summary(of_attack, settings.fprs) for key, of_attack in scores.items()}


def _summary(scores: Sequence[tuple[Scores, np.ndarray]], fprs: Sequence[float]) -> InTurn:
    own = [auroc_of_labels(one.values, members[None])[0] for one, members in scores]
    of_target = [auroc_of_labels(one.values, one.members[None])[0] for one, _ in scores]
    tprs = [[tpr_at_fpr(replace(one, members=members), fpr).tpr for fpr in fprs] for one, members in scores]
    return InTurn(
        n_targets=len(scores),
        auroc_mean=float(np.mean(own)),
        auroc_sd=_sd(own),
        tpr_mean=tuple(np.mean(tprs, axis=0).tolist()),
        wrong_model_auroc_mean=float(np.mean(of_target)),
        wrong_model_auroc_sd=_sd(of_target),
    )


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def with_fewer(
    attacks: Sequence[Attack],
    target: ProbedModel,
    fleet: TrainedShadowModels,
    split: Split,
    parts: Sequence[tuple[Level, Part]],
    settings: EvaluationSettings,
    seed: int,
) -> Mapping[Key, tuple[WithFewer, ...]]:
    """The attacks on the target with the first 2, 4, 8, … shadow models, all of them excepted.

    Args:
        attacks: those that ran on the target; of them those that need shadow models.
        target: the target.
        fleet: the shadow models.
        split: who is a member.
        parts: levels and parts that are judged.
        settings: of the evaluation.
        seed: of whatever attacks draw at random.
    """
    needing = [attack for attack in attacks if attack.least_shadows]
    found: dict[Key, tuple[WithFewer, ...]] = {}
    for size in tqdm(list(_sizes(len(fleet.shadows))), desc="With a part of the fleet", unit="size"):
        shadows = fleet.shadows.take(np.arange(size))
        scores = [
            one for level, part in parts for one in target.scored(needing, split, level, part, seed, shadows).scores
        ]
        for one in scores:
            key = (one.name, one.level)
            found[key] = (*found.get(key, ()), WithFewer(size, *estimate(one, settings)))
    return found


def _sizes(n_shadows: int) -> Iterator[int]:
    """Powers of two below the whole fleet.

    >>> list(_sizes(12)), list(_sizes(8))
    ([2, 4, 8], [2, 4])
    """
    size = 2
    while size < n_shadows:
        yield size
        size *= 2
