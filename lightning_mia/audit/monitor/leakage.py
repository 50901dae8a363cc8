"""Measure the leakage of a model during training."""

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

N_BOOTSTRAPS = 1000  # draws of speakers for an interval


@dataclass(frozen=True)
class ChallengeSet:
    """Recordings that a monitor probes, the same at every measurement.

    Attributes:
        split: membership of the recordings.
        recordings: recordings of the challenge set, to query.
        auxiliary: the adversary's own recordings.
    """

    split: Split
    recordings: Recordings
    auxiliary: Recordings

    @classmethod
    def from_data(cls, data: SplitCorpus) -> "ChallengeSet":
        """Create the challenge set of a loaded split."""
        split = data.split
        ids = list(split.challenge(split.level)["id"])
        return cls(split, data.queries(ids), data.queries(split.auxiliary_ids()))

    @property
    def table(self) -> pd.DataFrame:
        """One row per recording: `id`, `unit_id`, `speaker`, `member`."""
        return self.split.challenge(self.level)

    @property
    def level(self) -> Level:
        """Level of the split."""
        return self.split.level


@dataclass(frozen=True)
class Leakage:
    """Result of one attack, at one layer.

    Attributes:
        attack: name of the attack, without the layer.
        layer: hidden layer, from 0; None: the attack reads no layer.
        scores: scores of the challenge set.
        auroc: AUROC of the scores.
        interval: 95 % interval of the AUROC over speakers.
    """

    attack: str
    layer: int | None
    scores: Scores
    auroc: float
    interval: Interval

    @property
    def name(self) -> str:
        """Name of the attack, with any layer but the last."""
        return self.scores.name

    @property
    def members_mean(self) -> float:
        """Mean score of the members."""
        return float(self.scores.values[self.scores.members].mean())

    @property
    def nonmembers_mean(self) -> float:
        """Mean score of the non-members."""
        return float(self.scores.values[~self.scores.members].mean())

    @property
    def gap(self) -> float:
        """Mean score of the members minus that of the non-members."""
        return self.members_mean - self.nonmembers_mean

    def compared_auroc(self, stop_by: str) -> float:
        """Return the AUROC to compare with a bound.

        For two-sided attacks, values below 0.5 are reflected.

        Args:
            stop_by: "estimate", the AUROC itself, or "upper_bound", the upper end of its interval.
        """
        low, high = (self.auroc, self.auroc) if stop_by == "estimate" else self.interval
        return max(high, 1 - low) if self.scores.two_sided else high

    def row(self) -> dict[str, Any]:
        """Return the columns of `leakage.csv`, JSON-like."""
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
    """Run attacks on the model's current signals.

    Args:
        signals: signals of the challenge set.
        challenge: members and non-members.
        attacks: attacks; those that do not support the level or the model are skipped.
        all_layers: run attacks that read one layer at every layer.

    Returns:
        The results, and a line for each attack that the model does not support.
    """
    part: Any = challenge.split.parts(challenge.level)[0]
    leakages, skipped = [], []
    for attack in attacks:
        for layer, at_layer in _by_layer(attack, signals, all_layers):
            scored = score_attacks([at_layer], signals, challenge.split, challenge.level, part)
            skipped += scored.skipped
            leakages += [_evaluate(attack_name(attack), layer, scores) for scores in scored.scores]
    return leakages, skipped


def attack_name(attack: Attack) -> str:
    """Return an attack's name at the last layer."""
    if not hasattr(attack, "layer"):
        return attack.name
    at_last_layer = copy.copy(attack)
    at_last_layer.layer = -1
    return at_last_layer.name


def _by_layer(attack: Attack, signals: Signals, all_layers: bool) -> list[tuple[int | None, Attack]]:
    layer = getattr(attack, "layer", None)
    if layer is None:
        return [(None, attack)]
    if not all_layers:
        return [(signals.layer(layer), attack)]
    copies: list[tuple[int | None, Attack]] = []
    for number in range(signals.n_layers):
        at_layer = copy.copy(attack)
        at_layer.layer = -1 if number == signals.n_layers - 1 else number  # type: ignore[attr-defined]
        copies.append((number, at_layer))
    return copies


def _evaluate(attack: str, layer: int | None, scores: Scores) -> Leakage:
    auroc, interval = auroc_with_interval(scores.values, scores.members, scores.speakers, N_BOOTSTRAPS, seed=0)
    return Leakage(attack, layer, scores, auroc, interval)
