"""What user-supplied labels were assigned to: speakers, sessions, recordings.

These labels were not randomised, so redraws rest on an assumption about their assignment, which this module makes.
"""

from collections.abc import Iterable
from typing import Literal

import pandas as pd

from lightning_mia.utilities.errors import InputError, list_first

Assignment = Literal["speakers", "sessions", "recordings within sessions", "recordings"]

LABELLED = ("member", "nonmember", "held_back")
"""Roles of recordings with a label: members and non-members of a challenge set."""

PREFIXES: dict[str, Assignment] = {
    "one-sided speakers": "speakers",
    "sessions of ": "sessions",
    "session ": "recordings within sessions",
    "speaker ": "recordings",
}
"""Beginning of a stratum's name → what its labels were assigned to."""


def assign_units(rows: pd.DataFrame) -> pd.DataFrame:
    """Set `unit`, `stratum` and `part` of user-supplied labels.

    A speaker with one label was assigned as a whole. Of a speaker with both labels, a session with one label was
    assigned as a whole, and the recordings of a session with both labels one by one. If sessions are unknown, so were
    all recordings of a speaker with both labels.

    Args:
        rows: `id`, `speaker`, `role`, `target`, `audio` and optionally `session`.

    Raises:
        InputError: the session is known for some recordings of speakers with both labels, and empty for others.
    """
    labelled, speaker = rows["role"].isin(LABELLED), rows["speaker"]
    is_divided = speaker.isin(speakers_with_both_labels(rows))
    unit = rows["audio"].where(is_divided, speaker)
    stratum = ("speaker " + speaker).where(is_divided, "one-sided speakers")
    divided = rows[is_divided & labelled]
    if _has_sessions(divided):
        n_labels = divided.groupby(["speaker", "session"])["target"].transform("nunique")
        sessions = divided[n_labels == 1]
        unit.update("session " + sessions["session"] + " of " + sessions["speaker"])
        stratum.update("sessions of " + sessions["speaker"])
        mixed = divided[n_labels > 1]
        names = [f"session {key!r}" for key in zip(mixed["session"], mixed["speaker"], strict=True)]
        stratum.update(pd.Series(names, index=mixed.index, dtype=object))
    part = rows["role"].map({"held_back": "held_back", "member": "trained", "nonmember": "trained"}).fillna("")
    return rows.assign(unit=unit, stratum=stratum.where(labelled, ""), part=part)


def speakers_with_both_labels(rows: pd.DataFrame) -> list[str]:
    """Return speakers of both member and non-member recordings."""
    n_labels = rows[rows["role"].isin(LABELLED)].groupby("speaker")["target"].nunique()
    return list(n_labels.index[n_labels > 1])


def assignments(strata: Iterable[str]) -> tuple[Assignment, ...]:
    """Return what labels were assigned to, from strata of `assign_units`.

    >>> assignments(["speaker Ann", "one-sided speakers", "", "sessions of Bob"])
    ('speakers', 'sessions', 'recordings')
    """
    names = [name for name in set(strata) if name]
    return tuple(kind for prefix, kind in PREFIXES.items() if any(name.startswith(prefix) for name in names))


def _has_sessions(rows: pd.DataFrame) -> bool:
    """Check that sessions are known for all recordings or for none."""
    if "session" not in rows or (rows["session"] == "").all():
        return False
    unknown = rows["id"][rows["session"] == ""]
    if len(unknown):
        raise InputError(
            f"The column session is empty for {len(unknown)} of {len(rows)} recordings of speakers with both labels: "
            f"{list_first(list(unknown))}; fill it in for all of them, or drop the column"
        )
    return True
