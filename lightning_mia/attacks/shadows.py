"""What a fleet of shadow models answered, and who was IN for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.probe.signals import Signals


@dataclass(frozen=True)
class Shadows:
    """Shadow models as the adversary has them: trained like the target, on sets that it knows.

    Attributes:
        signals: one a shadow model, each of the same recordings.
        members: index = recording, one bool column a shadow model, named `shadow_000`, …: whether the recording's
            unit is IN for it. The recordings are those of the challenge set, or, for a fleet that never saw a
            challenge unit, those of the pool that it was trained on.
        pool: recordings that the fleet was drawn from, where they are not the challenge set: columns `id`,
            `unit_id`, `speaker`; None where they are. The shadow models are OUT for every challenge unit then.
        keys: one a shadow model, what its answers depend on, as text; empty where scores are not to be kept.
    """

    signals: Sequence[Signals]
    members: pd.DataFrame
    pool: pd.DataFrame | None = None
    keys: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def pairs(self) -> np.ndarray:
        """(shadows,) int, the complementary pair that each belongs to: of a pair, every unit is IN exactly one."""
        return np.array([int(name.rsplit("_", 1)[1]) // 2 for name in self.members.columns])

    def take(self, keep: np.ndarray) -> Shadows:
        """Some of the shadow models: (shadows,) bool, or their places."""
        places: list[int] = (np.flatnonzero(keep) if keep.dtype == bool else keep).tolist()
        keys = [self.keys[place] for place in places] if self.keys else ()
        return Shadows([self.signals[place] for place in places], self.members.iloc[:, places], self.pool, keys)

    def without_pair_of(self, shadow: int) -> Shadows:
        """The others, when one of them (its place) stands in for the target.

        Its partner goes too: with an exactly balanced matrix the other columns would reveal the label that is asked
        for.
        """
        return self.take(self.pairs != self.pairs[shadow])
