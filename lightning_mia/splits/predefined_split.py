"""User-supplied splits, from the `member` column of a corpus."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.assignment import assign_units, speakers_with_both_labels
from lightning_mia.splits.sampling.recordings import list_recordings
from lightning_mia.splits.sampling.sizes import MIN_UNITS_PER_CLASS
from lightning_mia.splits.split import LEADING_COLUMNS, SESSION, TRAILING_COLUMNS, Level, Split
from lightning_mia.utilities.errors import InputError, list_first

ROLES_BY_VALUE = {"1": "member", "0": "nonmember", "held_back": "held_back", "sibling": "sibling", "": "auxiliary"}

logger = logging.getLogger(__name__)


def predefined(table: pd.DataFrame, contents: Mapping[str, str], level: Level = "utterance") -> Split:
    """Build a split from the `member` column.

    Its values are 1, 0, `held_back`, `sibling` (see `Split.sibling_split`), or empty for auxiliary.

    These labels were not randomised, so p-values rest on an assumption: *a speaker with one label was assigned as a
    whole; of a speaker with both labels, a session with one label was assigned as a whole, and the recordings of a
    session with both labels were divided at random.* Redraws therefore permute the labels of speakers with one label
    among these speakers, those of sessions with one label among these sessions of the speaker, and those of the other
    recordings within their session. If the corpus has no column `session`, they permute the labels of a speaker with
    both labels over this speaker's recordings; if such recordings were divided by session, p-values are too small.

    Recordings of one speaker, or of one session, resemble each other: permuting labels over all recordings would
    mistake differences between voices or rooms for membership. As a consequence, with one member and one non-member
    speaker no p-value is below one half. Speakers and sessions with one label are also exchangeable if recordings were
    drawn independently with even odds, and one with few recordings got only one label by chance.

    The speaker level is omitted, with a warning, if a speaker has both labels, or if fewer than 4 member or non-member
    speakers have 2 recordings to query.

    Args:
        table: utterance table with `id`, `speaker`, `member` and optionally `session`, in any order.
        contents: SHA-256 of the decoded audio, by id.
        level: level that the split must support.

    Raises:
        InputError: no column `member`, or an unknown value; identical audio with different values; a held-back
            recording of a speaker without member recordings; a session that is empty for some recordings of speakers
            with both labels; fewer than two speakers; fewer than 4 members or non-members at that level; siblings
            without members, or fewer than 4.
    """
    if "member" not in table:
        raise InputError("The corpus has no column member; add one (1, 0, held_back, sibling or empty) or draw a split")
    rows = list_recordings(table, contents)
    rows["role"] = rows["member"].map(ROLES_BY_VALUE)
    _check_roles(rows)
    rows["trained"] = rows["role"] == "member"
    rows["target"] = rows["role"].isin(["member", "held_back"])
    has_siblings = (rows["role"] == "sibling").any()
    columns = [*LEADING_COLUMNS, *TRAILING_COLUMNS, *([SESSION] if has_siblings and SESSION in rows else [])]
    split = Split(assign_units(rows)[columns], level=level, drawn=False)
    _check_levels(split)
    if siblings := split.sibling_split():
        _check_siblings(siblings)
    return split


def _check_roles(rows: pd.DataFrame) -> None:
    """Reject unknown and contradictory values."""
    unknown = rows[rows["role"].isna()]
    if len(unknown):
        values = list_first([f"{row.id} {row.member!r}" for row in unknown.itertuples()])
        raise InputError(f"Unknown values in column member: {values}; use 1, 0, held_back, sibling or empty")
    conflicting = rows[rows.groupby("audio")["role"].transform("nunique") > 1]
    if len(conflicting):
        named = (conflicting["id"] + " (" + conflicting["role"] + ")").groupby(conflicting["audio"]).agg(" = ".join)
        raise InputError(f"The same audio has different values of member: {list_first(list(named))}; keep one of each")
    with_members = rows["speaker"][rows["role"] == "member"]
    siblings = rows["id"][rows["role"] == "sibling"]
    if len(siblings) and with_members.empty:
        raise InputError(
            f"{len(siblings)} recordings are siblings of the members ({list_first(list(siblings))}), but no recording "
            "is a member: give the recordings that the model was trained on the value 1"
        )
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
    reason = _why_no_speaker_level(split, "non-member")
    if split.level == "speaker":
        raise InputError(f"The split cannot be evaluated at speaker level: {reason}; choose the utterance level")
    logger.warning("The speaker level is omitted: %s", reason)


def _check_siblings(siblings: Split) -> None:
    """Check the number of siblings; warn if they lack the speaker level."""
    n_siblings = int((~siblings.challenge("utterance")["member"]).sum())
    if n_siblings < MIN_UNITS_PER_CLASS:
        raise InputError(
            f"The column member gives {n_siblings} sibling recordings (copies counted once), but a sibling control "
            f"needs at least {MIN_UNITS_PER_CLASS}; add some, or leave them out"
        )
    if siblings.level == "speaker" and "speaker" not in siblings.levels:
        logger.warning("The sibling control has no speaker level: %s", _why_no_speaker_level(siblings, "sibling"))


def _why_no_speaker_level(split: Split, other: str) -> str:
    """Say why members and others cannot be compared by speaker."""
    if speakers := speakers_with_both_labels(split.table):
        return f"speakers are both members and {other}s: {list_first(speakers)}"
    return f"fewer than {MIN_UNITS_PER_CLASS} member or {other} speakers have 2 recordings to query"
