"""A probed model: membership signals, and access to hidden states."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lightning_mia.attacks import Attack
from lightning_mia.attacks.base import Evidence, FrameAccess, ShadowModels
from lightning_mia.attacks.runner.scoring import Scored, cached_scores, score_attacks
from lightning_mia.signals.table import Signals
from lightning_mia.splits import Level, Part, Split
from lightning_mia.utilities.files import hash_of


@dataclass(frozen=True)
class ProbedModel:
    """Signals of one model, plus lazy access to its frames.

    Attributes:
        signals: signals of every recording available to the adversary.
        frames: hidden states, for attacks that learn from them; None: these attacks are skipped.
        key: hash of everything that determines the signals.
        folder: cache of the scores of attacks that learn.

    Example:
        Scores of one attack on the target:

            probed = audit.probe({"target": target})["target"]
            scored = probed.scored([PretextLoss()], audit.run.split, "utterance", "trained")
            scored.scores[0].values  # one score per utterance
    """

    signals: Signals
    frames: FrameAccess | None
    key: str
    folder: Path

    def scored(
        self,
        attacks: Sequence[Attack],
        split: Split,
        level: Level,
        part: Part,
        seed: int = 0,
        shadows: ShadowModels | None = None,
        *,
        alone: bool = False,
    ) -> Scored:
        """Run every attack that supports this level; see `score_attacks`."""
        return score_attacks(
            attacks, self.signals, split, level, part, self.frames, seed, self._score, shadows, alone=alone
        )

    def _score(self, attack: Attack, evidence: Evidence) -> pd.Series:
        """Score one attack, or read its scores from the cache."""
        if not (attack.needs_frames or attack.cache_scores):
            return attack.score(evidence)
        keys = list(evidence.shadows.keys) if evidence.shadows else []
        return cached_scores(attack, evidence, self.folder, hash_of([self.key, keys]) if keys else self.key)
