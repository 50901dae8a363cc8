"""Run attacks on one set of judged recordings."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.evaluation.scores import Scores
from lightning_mia.probe.signals import Signals
from lightning_mia.split import Level, Part, Split


def score_attacks(attacks: Sequence[Attack], signals: Signals, split: Split, level: Level, part: Part) -> list[Scores]:
    """Scores of every attack that has this level.

    Args:
        attacks: the attacks.
        signals: of the target, for every recording that is judged.
        split: who is judged.
        level: "utterance" or "speaker".
        part: at speaker level, the recordings that are asked about; a name on trained ones ends in `_trained`.
    """
    challenge = split.challenge(level, part)
    suffix = "_trained" if level == "speaker" and part == "trained" else ""
    return [_score(attack, signals, challenge, level, suffix) for attack in attacks if level in attack.levels]


def _score(attack: Attack, signals: Signals, challenge: pd.DataFrame, level: Level, suffix: str) -> Scores:
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
