"""What an attack or a control hands over to be judged: one score a unit."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

LEVELS = ("utterance", "speaker")
ACCESSES = ("black-box", "open-weights", "grey-box", "none")


@dataclass(frozen=True)
class Scores:
    """The scores of one attack (or control) over the n units of its challenge set.

    Attributes:
        name: the attack's name; `(name, level)` is unique in a run.
        level: "utterance" or "speaker": what a unit is.
        access: "black-box", "open-weights", "grey-box", or "none" for a control.
        two_sided: the sign of the score is not known beforehand, so that an AUROC below 0.5 counts as well.
        unit_ids: (n,) str, utterance ids, or speakers at speaker level; unique.
        speakers: (n,) str, the speaker of each unit.
        members: (n,) bool, True for the units that the target was trained on.
        values: (n,) float64, higher = more likely a member; finite.

    Raises:
        ValueError: lengths differ, a unit stands twice, a value is not finite, or one side is empty. All of
            these are faults of the caller: what the user brings is checked when the corpus is split.
    """

    name: str
    level: str
    access: str
    two_sided: bool
    unit_ids: np.ndarray
    speakers: np.ndarray
    members: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        """Give the arrays their types and check them."""
        set_field = object.__setattr__  # the dataclass is frozen once its arrays have their types
        set_field(self, "unit_ids", np.asarray(self.unit_ids, dtype=str))
        set_field(self, "speakers", np.asarray(self.speakers, dtype=str))
        set_field(self, "members", np.asarray(self.members, dtype=bool))
        set_field(self, "values", np.asarray(self.values, dtype=np.float64))
        self._check()

    def _check(self) -> None:
        where = f"scores of {self.name} at {self.level} level"
        if self.level not in LEVELS or self.access not in ACCESSES:
            raise ValueError(f"{where}: expected level in {LEVELS} and access in {ACCESSES}, got {self.access}")
        shapes = [array.shape for array in (self.unit_ids, self.speakers, self.members, self.values)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 1:
            raise ValueError(f"{where}: expected four arrays of one length, got shapes {shapes}")
        rising = bool((self.unit_ids[1:] > self.unit_ids[:-1]).all())  # as units mostly stand: quickly told
        if not rising and not pd.Index(self.unit_ids.tolist()).is_unique:
            raise ValueError(f"{where}: a unit stands there twice")
        if not np.isfinite(self.values).all():
            raise ValueError(f"{where}: {np.sum(~np.isfinite(self.values))} of {len(self)} are not finite")
        if self.members.all() or not self.members.any():
            raise ValueError(f"{where}: expected members and non-members, got one side only")

    def __len__(self) -> int:
        """Number of units."""
        return len(self.values)

    @property
    def n_members(self) -> int:
        """Number of member units."""
        return int(self.members.sum())

    @property
    def n_nonmembers(self) -> int:
        """Number of non-member units."""
        return len(self) - self.n_members


def by_units(scores: Iterable[Scores]) -> list[list[Scores]]:
    """Groups of those that judge the same units of one level in one order, the first of each in the order given."""
    groups: list[list[Scores]] = []
    for one in scores:
        same = (of for of in groups if of[0].level == one.level and np.array_equal(of[0].unit_ids, one.unit_ids))
        group = next(same, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    return groups
