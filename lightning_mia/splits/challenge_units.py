"""Redraws of the membership labels of challenge units."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.membership import (
    Inclusion,
    Purpose,
    count_labellings,
    other_labellings,
    permute_within_strata,
    stream,
    toss_coins,
)


@dataclass(frozen=True)
class ChallengeUnits:
    """Units of a level as arrays, for thousands of redraws.

    Attributes:
        level: their level.
        names: unit_ids.
        blocks: (units,) int, units with the same number are assigned together.
        labels: (units,) bool, IN for the target.
        strata: (units,) int, in the order of the strata's names.
        inclusion: how blocks were assigned.
    """

    level: str
    names: pd.Index
    blocks: np.ndarray
    labels: np.ndarray
    strata: np.ndarray
    inclusion: Inclusion

    @classmethod
    def of(cls, rows: pd.DataFrame, level: str, inclusion: Inclusion) -> "ChallengeUnits":
        """Collect the units of a level from rows of the split's table, one for each."""
        names = pd.Index(rows["speaker" if level == "speaker" else "id"])
        # A speaker and an utterance may share a name, but not within a stratum.
        blocks = np.unique(rows["stratum"] + "\n" + rows["unit"], return_inverse=True)[1]
        strata = np.unique(rows["stratum"], return_inverse=True)[1]
        return cls(level, names, blocks, rows["target"].to_numpy(), strata.astype(np.int64), inclusion)

    def take(self, units: Sequence[str]) -> "LabelledUnits":
        """Return the labels of some units.

        Raises:
            ValueError: a unit is not evaluated.
        """
        position = self.names.get_indexer(pd.Index(units))
        if (position < 0).any():
            raise ValueError(f"Some of the {len(position)} units are not evaluated at {self.level} level in this split")
        _, first, block = np.unique(self.blocks[position], return_index=True, return_inverse=True)
        tossed = self.inclusion == "independent" and len(first) == len(np.unique(self.blocks))
        return LabelledUnits(self.labels[position[first]], self.strata[position[first]], first, block, tossed)


@dataclass(frozen=True)
class LabelledUnits:
    """Labels of a challenge set or of a part of it, in blocks that were assigned together.

    Attributes:
        labels: (blocks,) bool, the labels of the split.
        strata: (blocks,) int.
        first: (blocks,) int, index of each block's first unit.
        block: (units,) int, the block of each unit.
        tossed: labels are coins, and these are all of them.
    """

    labels: np.ndarray
    strata: np.ndarray
    first: np.ndarray
    block: np.ndarray
    tossed: bool

    def redraw(self, n: int, seed: int, observed: np.ndarray | None = None) -> np.ndarray:
        """Return other labels of the units, (R, units) bool; see `Split.redraw`."""
        labels = self.labels if observed is None else np.asarray(observed, dtype=bool)[self.first]
        packed = _redrawn(labels.tobytes(), self.strata.tobytes(), n, seed, self.tossed)
        redrawn = np.unpackbits(packed, axis=1, count=len(labels)).view(bool)  # (R, blocks)
        in_order = len(self.block) == len(labels) and (self.block == np.arange(len(labels))).all()
        return redrawn if in_order else redrawn[:, self.block]

    def draw(self, n: int, seed: int) -> np.ndarray:
        """Draw labels independently, (n, units) bool; they may repeat."""
        generator = stream(seed, Purpose.REDRAW)
        if self.tossed:
            return toss_coins(len(self.labels), n, generator)[:, self.block]
        return permute_within_strata(self.labels, self.strata, n, generator)[:, self.block]

    def count_labellings(self) -> int:
        """Count the labellings that `redraw` draws from, the observed one included."""
        return 2 ** len(self.labels) if self.tossed else count_labellings(self.labels, self.strata)


@lru_cache(maxsize=1)  # all attacks and controls of an audit are evaluated with the same redraws
def _redrawn(labels: bytes, strata: bytes, n: int, seed: int, tossed: bool) -> np.ndarray:
    """Redraw labels within strata, or by coins, (R, ⌈blocks / 8⌉) uint8.

    Bits are packed to fit the cache.
    """
    block_labels, block_strata = np.frombuffer(labels, dtype=bool), np.frombuffer(strata, dtype=np.int64)
    generator = stream(seed, Purpose.REDRAW)
    redrawn = (
        toss_coins(len(block_labels), n, generator)
        if tossed
        else other_labellings(block_labels, block_strata, n, generator)
    )
    return np.packbits(redrawn, axis=1)
