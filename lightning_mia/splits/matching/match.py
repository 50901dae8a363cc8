"""Make the two sides of a ready-made split alike, in duration and in recordings a speaker."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.splits.matching.by_duration import binned_in_proportion, nearest_tuples
from lightning_mia.splits.matching.by_speaker import equally_many, match_by_speaker
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.sampling.recordings import MIN_QUERIES, list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_A_SIDE
from lightning_mia.splits.split import Level
from lightning_mia.utilities.errors import InputError

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
        if min(left) >= MIN_UNITS_A_SIDE:
            return
        counts = [f"{n} of {side[unit].nunique()}" for n, side in zip(left, sides, strict=True)]
        lengths = [_middle(side["seconds"]) for side in sides]
        raise InputError(
            f"Matching keeps {counts[0]} member and {counts[1]} non-member {units}, but {MIN_UNITS_A_SIDE} of each "
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


NO_PARTNER = "no recording of a like duration is left on the other side"
HELD_BACK = "held-back recordings are not judged at utterance level"


def match(
    table: pd.DataFrame,
    seconds: Mapping[str, float],
    contents: Mapping[str, str],
    settings: Matching,
    level: Level = "utterance",
    unfit: Mapping[str, str] = {},
) -> Matched:
    """Decide which recordings are kept, by their durations, speakers and sides, and by nothing else.

    Member recordings are matched with non-members, and at speaker level held-back ones with the same non-members.
    At utterance level durations are matched whoever speaks; at speaker level, and where equally many recordings a
    speaker are asked for, within pairs of speakers (`match_by_speaker`). Auxiliary recordings are kept as they are,
    and copies of a recording share its fate. Which of several that fit equally well is kept follows from the SHA-256
    of seed and id, not from the order of the table.

    Matched sides are more alike than a redraw of the split makes them, so that p-values of what goes with duration
    err on the safe side.

    Args:
        table: `id`, `speaker` and `member` (1, 0, held_back, or empty = auxiliary).
        seconds: duration of every id.
        contents: SHA-256 of the decoded audio of every id.
        settings: what is matched; cropping is not done here.
        level: level at which the split is to be good.
        unfit: recordings that are out already, of whatever kind: id → reason.

    Returns:
        The recordings in the order of `table`, each kept or discarded with a reason.

    Raises:
        InputError: too few recordings or speakers are left of either side.
    """
    rows = table[["id", "speaker", "member"]].reset_index(drop=True)
    rows["seconds"] = rows["id"].map(seconds)
    rows["reason"] = [unfit.get(name, "") for name in rows["id"]]
    Matched(rows).check(level, settings.remedy)
    listed = list_recordings(rows[rows["reason"] == ""], contents).set_index("id")
    judged = listed[(listed["audio"] == listed.index) & (listed["member"] != "")]
    judged = judged.loc[_hash_order(judged.index, settings.seed)]
    judged = judged.assign(log_seconds=np.log(judged["seconds"]), is_member=judged["member"] != "0")
    found = _reasons(judged, settings, level)
    reason_of = {name: found.get(first, "") for name, first in listed["audio"].items()}  # a copy's is its first's
    rows["reason"] = [reason_of.get(name, reason) for name, reason in zip(rows["id"], rows["reason"], strict=True)]
    matched = Matched(rows)
    matched.check(level, settings.remedy)
    return matched


def _hash_order(ids: pd.Index, seed: int) -> list[str]:
    """An order that knows of nothing but the ids and the seed."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


def _reasons(judged: pd.DataFrame, settings: Matching, level: Level) -> dict[str, str]:
    """Why each judged recording is discarded, by id; empty where it is kept."""
    least = MIN_QUERIES if level == "speaker" else 1
    if settings.duration == "none":
        return equally_many(judged, least) if settings.utterances_per_speaker else {}
    reasons = dict.fromkeys(judged.index, HELD_BACK)
    if level == "utterance":
        judged = judged[judged["member"] != "held_back"]
    if level == "speaker" or settings.utterances_per_speaker:
        return reasons | match_by_speaker(judged, settings, least)
    return reasons | _match_pooled(judged, settings)


def _match_pooled(judged: pd.DataFrame, settings: Matching) -> dict[str, str]:
    """Match recordings whoever speaks."""
    sides = [judged[judged["is_member"]], judged[~judged["is_member"]]]
    members, nonmembers = (side["log_seconds"].to_numpy() for side in sides)
    kept = (
        nearest_tuples([members, nonmembers], settings.widest).T
        if settings.duration == "nearest"
        else binned_in_proportion(members, nonmembers, settings.widest)
    )
    kept_ids = [name for side, positions in zip(sides, kept, strict=True) for name in side.index[positions]]
    return dict.fromkeys(judged.index, NO_PARTNER) | dict.fromkeys(kept_ids, "")
