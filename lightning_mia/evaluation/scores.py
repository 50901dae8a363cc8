"""Per-unit scores of one attack or control."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
import pandas as pd

LEVELS = ("utterance", "speaker")
PARTS = ("", "held_back", "trained")  # recordings that are queried at speaker level; "" at utterance level
Access = Literal["black-box", "open-weights", "grey-box", "white-box"]  # of attacks; each includes those before it
ACCESSES = (*get_args(Access), "none")  # none: controls

Key = tuple[str, str]
"""Name and level of an attack or control."""


class Family(NamedTuple):
    """Attacks whose p-values are corrected together: one question, one access.

    Attributes:
        level: "utterance" or "speaker".
        part: as in `Scores`.
        access: as in `Scores`.

    Example:
        >>> Family("speaker", "held_back", "grey-box").question
        'speaker level, held-back recordings'
    """

    level: str
    part: str
    access: str

    @property
    def question(self) -> str:
        """The level, and at speaker level the queried recordings."""
        return f"{self.level} level" + (f", {self.part.replace('_', '-')} recordings" if self.part else "")

    def __str__(self) -> str:
        """Question and access; access "none" is omitted."""
        return self.question if self.access == "none" else f"{self.question}, {self.access}"


FAMILIES = tuple(Family(level, part, access) for level in LEVELS for part in PARTS for access in ACCESSES)
"""All families, in the order of reports."""


@dataclass(frozen=True)
class Scores:
    """Scores of one attack or control on its challenge set.

    Attributes:
        name: name of the attack; `(name, level)` is unique in a run.
        level: kind of unit, "utterance" or "speaker".
        access: "black-box", "open-weights", "grey-box", "white-box", or "none" for a control.
        two_sided: the sign of the effect is unknown beforehand, so that an AUROC below 0.5 counts as well.
        unit_ids: (n,) str, utterance ids, or speakers at speaker level; unique.
        speakers: (n,) str, speaker of each unit.
        members: (n,) bool, True for units that the target was trained on.
        values: (n,) float64, higher = more likely a member; finite.
        part: at speaker level, the queried recordings of member speakers: "held_back" or "trained"; else "".

    Raises:
        ValueError: lengths differ, a unit is duplicated, a value is not finite, or members or non-members are missing.
            These are errors of the caller: user-supplied data are checked when the corpus is split.

    Example:
        >>> scores = Scores(
        ...     name="pretext_loss",
        ...     level="utterance",
        ...     access="grey-box",
        ...     two_sided=False,
        ...     unit_ids=["a/0", "a/1", "b/0"],
        ...     speakers=["a", "a", "b"],
        ...     members=[True, False, True],
        ...     values=[0.9, 0.2, 0.7],
        ... )
        >>> scores.n_members, scores.n_nonmembers
        (2, 1)
    """

    name: str
    level: str
    access: str
    two_sided: bool
    unit_ids: np.ndarray
    speakers: np.ndarray
    members: np.ndarray
    values: np.ndarray
    part: str = ""

    def __post_init__(self) -> None:
        """Convert the arrays to their types and check them."""
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "unit_ids", np.asarray(self.unit_ids, dtype=str))
        set_field(self, "speakers", np.asarray(self.speakers, dtype=str))
        set_field(self, "members", np.asarray(self.members, dtype=bool))
        set_field(self, "values", np.asarray(self.values, dtype=np.float64))
        self._check()

    def _check(self) -> None:
        where = f"scores of {self.name} at {self.level} level"
        if self.level not in LEVELS or self.access not in ACCESSES or self.part not in PARTS:
            raise ValueError(
                f"{where}: expected level in {LEVELS}, access in {ACCESSES} and part in {PARTS}, "
                f"got {self.access} and {self.part!r}"
            )
        shapes = [array.shape for array in (self.unit_ids, self.speakers, self.members, self.values)]
        if len(set(shapes)) > 1 or len(shapes[0]) != 1:
            raise ValueError(f"{where}: expected four arrays of one length, got shapes {shapes}")
        is_sorted = bool((self.unit_ids[1:] > self.unit_ids[:-1]).all())  # the usual order, and quick to check
        if not is_sorted and not pd.Index(self.unit_ids.tolist()).is_unique:
            raise ValueError(f"{where}: a unit is duplicated")
        if not np.isfinite(self.values).all():
            raise ValueError(f"{where}: {np.sum(~np.isfinite(self.values))} of {len(self)} are not finite")
        if self.members.all() or not self.members.any():
            raise ValueError(f"{where}: expected members and non-members, got only one of them")

    @property
    def key(self) -> Key:
        """Name and level, unique in a run."""
        return self.name, self.level

    @property
    def family(self) -> Family:
        """Question and access."""
        return Family(self.level, self.part, self.access)

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


class _OfFamily(Protocol):
    """Scores or results of an attack."""

    @property
    def family(self) -> Family:
        """Question and access."""
        ...


_T = TypeVar("_T", bound=_OfFamily)


def group_by_family(items: Iterable[_T]) -> dict[Family, list[_T]]:
    """Group scores or results by family.

    Families and their items keep the order in which they appear.
    """
    groups: dict[Family, list[_T]] = {}
    for item in items:
        groups.setdefault(item.family, []).append(item)
    return groups


def group_by_units(scores: Iterable[Scores]) -> list[list[Scores]]:
    """Group scores of the same units and level.

    Units in another order form another group.
    """
    groups: list[list[Scores]] = []
    for score in scores:
        for group in groups:
            if group[0].level == score.level and np.array_equal(group[0].unit_ids, score.unit_ids):
                group.append(score)
                break
        else:
            groups.append([score])
    return groups
