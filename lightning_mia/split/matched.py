"""What matching kept and what it discarded, and the account of both."""

from dataclasses import dataclass

import pandas as pd

from lightning_mia.errors import InputError
from lightning_mia.split.sizes import LEAST_UNITS_A_SIDE
from lightning_mia.split.split import Level

KINDS = {"1": "member", "0": "non-member", "held_back": "held-back", "": "auxiliary"}
"""Values of the column `member`, in words."""


@dataclass(frozen=True, eq=False)
class Matched:
    """The outcome of a matching.

    Attributes:
        rows: one row a recording: `id`, `speaker`, `member`, `seconds` (before it is cropped), and `reason`, why it
            is discarded ("" where it is kept).
    """

    rows: pd.DataFrame

    @property
    def kept(self) -> list[str]:
        """Ids of what is left."""
        return list(self.rows["id"][self.rows["reason"] == ""])

    @property
    def discarded(self) -> pd.DataFrame:
        """The rows that are left out."""
        return self.rows[self.rows["reason"] != ""].reset_index(drop=True)

    def check(self, level: Level, remedy: str) -> None:
        """Refuse to go on with too little.

        Raises:
            InputError: fewer than 4 recordings, at speaker level fewer than 4 speakers, are left of a side.
        """
        unit, units = ("speaker", "speakers") if level == "speaker" else ("id", "recordings")
        sides = [self.rows[self.rows["member"] == kind] for kind in ("1", "0")]
        left = [side[side["reason"] == ""][unit].nunique() for side in sides]
        if min(left) >= LEAST_UNITS_A_SIDE:
            return
        counts = [f"{n} of {side[unit].nunique()}" for n, side in zip(left, sides, strict=True)]
        lengths = [_middle(side["seconds"]) for side in sides]
        raise InputError(
            f"Matching keeps {counts[0]} member and {counts[1]} non-member {units}, but {LEAST_UNITS_A_SIDE} of each "
            f"are the least (nine in ten member recordings last {lengths[0]}, of non-members {lengths[1]}); {remedy}"
        )

    def notes(self, how: str) -> tuple[str, ...]:
        """Say in two sentences what was kept and what was discarded, and why.

        Args:
            how: what was matched, in words.
        """
        kinds = {kind: name for kind, name in KINDS.items() if (self.rows["member"] == kind).any()}
        kept = [self._kept(kind, name) for kind, name in kinds.items()]
        discarded = [self._discarded(kind, name) for kind, name in kinds.items()]
        return (
            f"Matching ({how}) kept {'; '.join(kept)}.",
            f"Discarded by matching: {'; '.join(part for part in discarded if part) or 'nothing'}.",
        )

    def _kept(self, kind: str, name: str) -> str:
        before = self.rows[self.rows["member"] == kind]
        after = before[before["reason"] == ""]
        return (
            f"{len(after)} of {len(before)} {name} recordings ({after['speaker'].nunique()} of "
            f"{before['speaker'].nunique()} speakers, {_time(after['seconds'].sum())} of "
            f"{_time(before['seconds'].sum())}, median {after['seconds'].median():.2f} s instead of "
            f"{before['seconds'].median():.2f} s)"
        )

    def _discarded(self, kind: str, name: str) -> str:
        rows = self.discarded[self.discarded["member"] == kind]
        if rows.empty:
            return ""
        reasons = [f"{count}, because {reason}" for reason, count in rows["reason"].value_counts().items()]
        return f"{len(rows)} {name} recordings ({_time(rows['seconds'].sum())}): {', '.join(reasons)}"


def _middle(seconds: pd.Series) -> str:
    """The range without the shortest and the longest twentieth."""
    return "nothing" if seconds.empty else f"{seconds.quantile(0.05):.2f} to {seconds.quantile(0.95):.2f} s"


def _time(seconds: float) -> str:
    """A length of time, in its own unit.

    >>> _time(90), _time(1500), _time(9000)
    ('90 s', '25 min', '2.5 h')
    """
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
