"""A split that the user brings, in the `member` column of a manifest."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.recordings import list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_A_SIDE
from lightning_mia.splits.split import LEADING_COLUMNS, TRAILING_COLUMNS, Level, Split
from lightning_mia.utilities.errors import InputError, list_first

ROLE_OF_VALUE = {"1": "member", "0": "nonmember", "held_back": "held_back", "": "auxiliary"}

logger = logging.getLogger(__name__)


def predefined(table: pd.DataFrame, contents: Mapping[str, str], level: Level = "utterance") -> Split:
    """Take the split from the `member` column: 1, 0, `held_back`, or empty for auxiliary.

    Nobody drew these labels at random for us, so a p-value rests on an assumption. Ours: *a speaker who
    stands on one side was put there as a whole; the recordings of a speaker who stands on both were divided
    at random.* Redraws therefore permute the sides of one-sided speakers, whole, among those speakers, and
    the labels of a two-sided speaker's recordings within that speaker. Recordings of one speaker resemble
    each other: labels permuted freely over all of them would take a difference between voices for
    membership. The price is honest: where one speaker stands on either side, no p-value is below one half.
    One-sided speakers are exchangeable, too, where recordings were drawn one by one, with even odds, and a
    speaker with few of them came to stand on one side by chance.

    The speaker level is left out, with a line in the log, where a speaker stands on both sides or where fewer
    than 4 speakers a side have 2 recordings to be asked about.

    Args:
        table: table of utterances with `id`, `speaker` and `member`; the order of its rows does not matter.
        contents: SHA-256 of the decoded audio of every id of the table.
        level: the level that the split must be good for.

    Raises:
        InputError: no column `member`, or a value unknown to it; the same audio with different values; a
            held-back recording of a speaker without member recordings; fewer than two speakers; fewer than 4
            members or non-members at that level.
    """
    if "member" not in table:
        raise InputError("The corpus has no column member; add one (1, 0, held_back or empty) or draw a split")
    rows = list_recordings(table, contents)
    rows["role"] = rows["member"].map(ROLE_OF_VALUE)
    _check_roles(rows)
    rows["trained"] = rows["role"] == "member"
    rows["target"] = rows["role"].isin(["member", "held_back"])
    rows["part"] = rows["role"].map({"held_back": "held_back", "auxiliary": ""}).fillna("trained")
    two_sided = rows["speaker"].isin(_two_sided_speakers(rows))
    rows["unit"] = rows["audio"].where(two_sided, rows["speaker"])
    rows["stratum"] = ("speaker " + rows["speaker"]).where(two_sided, "one-sided speakers")
    rows["stratum"] = rows["stratum"].where(rows["role"] != "auxiliary", "")
    split = Split(rows[[*LEADING_COLUMNS, *TRAILING_COLUMNS]], level=level, drawn=False)
    _check_levels(split)
    return split


def _two_sided_speakers(rows: pd.DataFrame) -> list[str]:
    sides = rows[rows["role"] != "auxiliary"].groupby("speaker")["target"].nunique()
    return list(sides.index[sides > 1])


def _check_roles(rows: pd.DataFrame) -> None:
    """Refuse values that are unknown, or contradict each other."""
    unknown = rows[rows["role"].isna()]
    if len(unknown):
        values = list_first([f"{row.id} {row.member!r}" for row in unknown.itertuples()])
        raise InputError(f"Unknown values in column member: {values}; use 1, 0, held_back or empty")
    clashing = rows[rows.groupby("audio")["role"].transform("nunique") > 1]
    if len(clashing):
        named = (clashing["id"] + " (" + clashing["role"] + ")").groupby(clashing["audio"]).agg(" = ".join)
        raise InputError(f"The same audio has different values of member: {list_first(list(named))}; keep one of each")
    with_members = rows["speaker"][rows["role"] == "member"]
    stray = rows["speaker"][(rows["role"] == "held_back") & ~rows["speaker"].isin(with_members)].unique()
    if len(stray):
        raise InputError(
            "held_back is for recordings of a member speaker, but these speakers have no recording with "
            f"member 1: {list_first(list(stray))}; give theirs 0 or an empty value"
        )


def _check_levels(split: Split) -> None:
    """Refuse too few units at the level asked for; say so where the speaker level is left out."""
    members = split.challenge("utterance")["member"].to_numpy()
    if min(np.sum(members), np.sum(~members)) < MIN_UNITS_A_SIDE:
        raise InputError(
            f"The column member gives {np.sum(members)} member and {np.sum(~members)} non-member recordings "
            f"(copies counted once), but {MIN_UNITS_A_SIDE} of each are the least; add recordings"
        )
    if "speaker" in split.levels:
        return
    if two_sided := _two_sided_speakers(split.table):
        reason = f"speakers stand on both sides: {list_first(two_sided)}"
    else:
        reason = f"fewer than {MIN_UNITS_A_SIDE} speakers a side have 2 recordings to be asked about"
    if split.level == "speaker":
        raise InputError(f"The split cannot be judged at speaker level: {reason}; choose the utterance level")
    logger.warning("The speaker level is left out: %s", reason)
