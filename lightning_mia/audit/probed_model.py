"""A model that was asked, as the attacks meet it."""

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
    """What one model has answered, and may still be asked.

    Attributes:
        signals: for every recording that an adversary may use.
        frames: its hidden states, for attacks that learn from them; None: these attacks are left out.
        key: hash of all that its answers depend on.
        folder: where the scores of attacks that learn are kept.
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
    ) -> Scored:
        """Scores of every attack that has this level and can run; see `score_attacks`."""
        return score_attacks(attacks, self.signals, split, level, part, self.frames, seed, self._score, shadows)

    def _score(self, attack: Attack, evidence: Evidence) -> pd.Series:
        """Scores of one attack; those that had to be learned are kept for the next start."""
        if not (attack.needs_frames or attack.learns):
            return attack.score(evidence)
        keys = list(evidence.shadows.keys) if evidence.shadows else []
        return cached_scores(attack, evidence, self.folder, hash_of([self.key, keys]) if keys else self.key)
