"""User-supplied splits, from the `member` column of a corpus."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.recordings import list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS
from lightning_mia.splits.split import LEADING_COLUMNS, TRAILING_COLUMNS, Level, Split
from lightning_mia.utilities.errors import InputError, list_first

ROLES_BY_VALUE = {"1": "member", "0": "nonmember", "held_back": "held_back", "": "auxiliary"}

logger = logging.getLogger(__name__)


def predefined(table: pd.DataFrame, contents: Mapping[str, str], level: Level = "utterance") -> Split:
    """Build a split from the `member` column.

    Its values are 1, 0, `held_back`, or empty for auxiliary.

    These labels were not randomised, so p-values rest on an assumption: *a speaker with one label was assigned as a
    whole; the recordings of a speaker with both labels were divided at random.* Redraws therefore permute the labels of
    speakers with one label among these speakers, and those of a speaker with both labels among this speaker's
    recordings. Recordings of one speaker resemble each other: permuting labels over all recordings would mistake
    differences between voices for membership. As a consequence, with one member and one non-member speaker no p-value
    is below one half. Speakers with one label are also exchangeable if recordings were drawn independently with even
    odds, and a speaker with few recordings got only one label by chance.

    The speaker level is omitted, with a warning, if a speaker has both labels, or if fewer than 4 member or non-member
    speakers have 2 recordings to query.

    Args:
        table: utterance table with `id`, `speaker` and `member`, in any order.
        contents: SHA-256 of the decoded audio, by id.
        level: level that the split must support.

    Raises:
        InputError: no column `member`, or an unknown value; identical audio with different values; a held-back
            recording of a speaker without member recordings; fewer than two speakers; fewer than 4 members or
            non-members at that level.
    """
    if "member" not in table:
        raise InputError("The corpus has no column member; add one (1, 0, held_back or empty) or draw a split")
    rows = list_recordings(table, contents)
    rows["role"] = rows["member"].map(ROLES_BY_VALUE)
    _check_roles(rows)
    rows["trained"] = rows["role"] == "member"
    rows["target"] = rows["role"].isin(["member", "held_back"])
    rows["part"] = rows["role"].map({"held_back": "held_back", "auxiliary": ""}).fillna("trained")
    both_labels = rows["speaker"].isin(_speakers_with_both_labels(rows))
    rows["unit"] = rows["audio"].where(both_labels, rows["speaker"])
    rows["stratum"] = ("speaker " + rows["speaker"]).where(both_labels, "one-sided speakers")
    rows["stratum"] = rows["stratum"].where(rows["role"] != "auxiliary", "")
    split = Split(rows[[*LEADING_COLUMNS, *TRAILING_COLUMNS]], level=level, drawn=False)
    _check_levels(split)
    return split


def _speakers_with_both_labels(rows: pd.DataFrame) -> list[str]:
    """Return speakers of both member and non-member recordings."""
    n_labels = rows[rows["role"] != "auxiliary"].groupby("speaker")["target"].nunique()
    return list(n_labels.index[n_labels > 1])


def _check_roles(rows: pd.DataFrame) -> None:
    """Reject unknown and contradictory values."""
    unknown = rows[rows["role"].isna()]
    if len(unknown):
        values = list_first([f"{row.id} {row.member!r}" for row in unknown.itertuples()])
        raise InputError(f"Unknown values in column member: {values}; use 1, 0, held_back or empty")
    conflicting = rows[rows.groupby("audio")["role"].transform("nunique") > 1]
    if len(conflicting):
        named = (conflicting["id"] + " (" + conflicting["role"] + ")").groupby(conflicting["audio"]).agg(" = ".join)
        raise InputError(f"The same audio has different values of member: {list_first(list(named))}; keep one of each")
    with_members = rows["speaker"][rows["role"] == "member"]
    unmatched = rows["speaker"][(rows["role"] == "held_back") & ~rows["speaker"].isin(with_members)].unique()
    if len(unmatched):
        raise InputError(
            "held_back is for recordings of a member speaker, but these speakers have no recording with "
            f"member 1: {list_first(list(unmatched))}; give them 0 or an empty value"
        )


def _check_levels(split: Split) -> None:
    """Check the number of units; warn without speaker level."""
    members = split.challenge("utterance")["member"].to_numpy()
    if min(np.sum(members), np.sum(~members)) < MIN_UNITS_PER_CLASS:
        raise InputError(
            f"The column member gives {np.sum(members)} member and {np.sum(~members)} non-member recordings "
            f"(copies counted once), but at least {MIN_UNITS_PER_CLASS} of each are needed; add recordings"
        )
    if "speaker" in split.levels:
        return
    if speakers := _speakers_with_both_labels(split.table):
        reason = f"speakers are both members and non-members: {list_first(speakers)}"
    else:
        reason = f"fewer than {MIN_UNITS_PER_CLASS} member or non-member speakers have 2 recordings to query"
    if split.level == "speaker":
        raise InputError(f"The split cannot be evaluated at speaker level: {reason}; choose the utterance level")
    logger.warning("The speaker level is omitted: %s", reason)
