"""How much an attack tells of a model's members, at one moment of its training."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lightning_mia.attacks import Attack
from lightning_mia.attacks.runner.scoring import score_attacks
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.evaluation.results import Interval
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.intervals import auroc_with_interval
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Split
from lightning_mia.splits.data_module import SplitCorpus


@dataclass(frozen=True)
class ChallengeSet:
    """What a monitor asks about: the same recordings at every measurement.

    Attributes:
        split: who is a member.
        recordings: those that are judged, as they are queried.
        auxiliary: the adversary's own recordings.
    """

    split: Split
    recordings: Recordings
    auxiliary: Recordings

    @classmethod
    def of(cls, data: SplitCorpus) -> "ChallengeSet":
        """The challenge set of a data module that is loaded."""
        split = data.split
        ids = list(split.challenge(split.level)["id"])
        return cls(split, data.queries(ids), data.queries(split.auxiliary_ids()))

    @property
    def judged(self) -> pd.DataFrame:
        """One row a recording: `id`, `unit_id`, `speaker`, `member`."""
        return self.split.challenge(self.level)

    @property
    def level(self) -> Level:
        """The level at which the split was drawn, or at which a ready-made one is reported."""
        return self.split.level


N_BOOTSTRAPS = 1000  # draws of speakers for an interval


@dataclass(frozen=True)
class Leakage:
    """One attack, at one layer where it has one.

    Attributes:
        attack: its name, without the layer.
        layer: hidden layer that it reads, from 0; None: it reads none.
        scores: of the challenge set.
        auroc: of these scores.
        interval: its 95 % interval over speakers.
    """

    attack: str
    layer: int | None
    scores: Scores
    auroc: float
    interval: Interval

    @property
    def name(self) -> str:
        """The attack's name, with the layer where it is not the last."""
        return self.scores.name

    @property
    def members_mean(self) -> float:
        """Mean score of the members."""
        return float(self.scores.values[self.scores.members].mean())

    @property
    def others_mean(self) -> float:
        """Mean score of the non-members."""
        return float(self.scores.values[~self.scores.members].mean())

    @property
    def gap(self) -> float:
        """Mean score of the members minus that of the non-members; of the pretext loss: how much better solved."""
        return self.members_mean - self.others_mean

    def beyond(self, by: str) -> float:
        """The figure that a bound is compared with, at least 0.5 where the attack's sign is not known beforehand.

        Args:
            by: "estimate", the AUROC itself, or "upper_bound", the upper end of its interval.
        """
        low, high = (self.auroc, self.auroc) if by == "estimate" else self.interval
        return max(high, 1 - low) if self.scores.two_sided else high

    def row(self) -> dict[str, Any]:
        """Its columns of the table, JSON-like."""
        low, high = self.interval
        return {
            "attack": self.attack,
            "layer": self.layer,
            "auroc": self.auroc,
            "lo": low,
            "hi": high,
            "gap": self.gap,
        }


def measure_leakage(
    signals: Signals, challenge: ChallengeSet, attacks: Sequence[Attack], all_layers: bool = False
) -> tuple[list[Leakage], list[str]]:
    """Run attacks on the signals of one moment.

    Args:
        signals: of the challenge set.
        challenge: who is a member.
        attacks: those that do not fit the level or the model are left out.
        all_layers: run every attack that reads one layer at each of them.

    Returns:
        What was measured, and a line for each attack that needs what the model has not.
    """
    found, skipped = [], []
    for attack in attacks:
        for layer, one in _by_layer(attack, signals, all_layers):
            scored = score_attacks([one], signals, challenge.split, challenge.level, _part(challenge))
            skipped += scored.skipped
            found += [_judged(attack_name(attack), layer, scores) for scores in scored.scores]
    return found, skipped


def attack_name(attack: Attack) -> str:
    """An attack's name as it is at the last layer."""
    if not hasattr(attack, "layer"):
        return attack.name
    plain = copy.copy(attack)
    plain.layer = -1
    return plain.name


def _by_layer(attack: Attack, signals: Signals, all_layers: bool) -> list[tuple[int | None, Attack]]:
    layer = getattr(attack, "layer", None)
    if layer is None:
        return [(None, attack)]
    if not all_layers:
        return [(signals.layer(layer), attack)]
    copies: list[tuple[int | None, Attack]] = []
    for number in range(signals.n_layers):
        one = copy.copy(attack)
        one.layer = -1 if number == signals.n_layers - 1 else number  # type: ignore[attr-defined]
        copies.append((number, one))
    return copies


def _part(challenge: ChallengeSet) -> Any:
    return challenge.split.parts(challenge.level)[0]


def _judged(attack: str, layer: int | None, scores: Scores) -> Leakage:
    figures = auroc_with_interval(scores.values, scores.members, scores.speakers, N_BOOTSTRAPS, seed=0)
    return Leakage(attack, layer, scores, *figures)
