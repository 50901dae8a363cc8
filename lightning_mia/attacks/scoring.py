"""Run attacks at every level that they and the split allow."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.evaluation.scores import Scores
from lightning_mia.probe.signals import Signals
from lightning_mia.split import Split


def score_attacks(attacks: Sequence[Attack], signals: Signals, split: Split) -> list[Scores]:
    """Scores of every attack at each of its levels, speaker level on held-back and on trained recordings apart.

    Args:
        attacks: the attacks; those that cannot judge this split's levels give nothing.
        signals: of the target, for every recording of the split.
        split: who is judged.
    """
    return [
        _score(attack, signals, split.challenge(level, part), level, suffix="" if place == 0 else f"_{part}")
        for level in split.levels
        for attack in attacks
        if level in attack.levels
        for place, part in enumerate(split.parts(level))
    ]


def _score(attack: Attack, signals: Signals, challenge: pd.DataFrame, level: str, suffix: str) -> Scores:
    scores = attack.score(Evidence(signals, challenge.drop(columns="member")))
    units = challenge.drop_duplicates("unit_id").set_index("unit_id")
    return Scores(
        name=attack.name + suffix,
        level=level,
        access=attack.access,
        two_sided=attack.two_sided,
        unit_ids=units.index.to_numpy(dtype=str),
        speakers=units["speaker"].to_numpy(dtype=str),
        members=units["member"].to_numpy(dtype=bool),
        values=scores.loc[units.index].to_numpy(dtype=float),
    )


def as_control(scores: Scores, kind: str) -> Scores:
    """The same attack on a model that cannot know the members: `untrained_pretext_loss`, say."""
    return replace(scores, name=f"{kind}_{scores.name}", access="none")
