"""Statistics of what the manifest gives away: order, sessions, file names, dates."""

import os
import re
from collections.abc import Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd

MIN_RECORDINGS = 2
"""Sessions, folders and parts of names of fewer recordings have no column."""
MAX_VALUES = 100
"""Columns of sessions, of folders, and of beginnings and ends of names."""
SECONDS_PER_DAY = 86_400
ARRANGED = ("row", "id_order", "depth", "name_length", "name_digits", "name_numbers")


def metadata_statistics(table: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """Describe the place of recordings in their manifest and on disk.

    Args:
        table: utterance table, in the manifest's order: `id`, `path`, `speaker` and optionally `session`.
        ids: recordings.

    Returns:
        float64, one row per recording (index `id`): order of the rows and of the ids, sessions with their order and
        size, folders, names of files, and the day of the last change if it differs.
    """
    rows = table.assign(row=np.arange(len(table), dtype=np.float64)).set_index("id").loc[list(ids)]
    paths = [PurePath(path) for path in rows["path"].astype(str)]
    parts = [_order(rows), _names([path.stem for path in paths]), _folders(paths), _days(rows["path"])]
    if "session" in rows and (rows["session"].astype(str) != "").any():
        parts.append(_sessions(rows))
    return pd.concat([part.set_axis(rows.index, axis=0) for part in parts], axis=1).astype(np.float64)


def listed_by_membership(statistics: pd.DataFrame, challenge: pd.DataFrame) -> list[str]:
    """Name columns that merely repeat the membership.

    Who lists members first and non-members second, or keeps them in two folders, or names them differently, has
    arranged the recordings; that says nothing about them. Orders, folders and patterns of names are such an arrangement
    if they separate members from non-members without exception; the order of rows also if it does so for every speaker.

    Args:
        statistics: from `metadata_statistics`.
        challenge: recordings with `id`, `speaker`, `member`.
    """
    values = statistics.loc[challenge["id"]].to_numpy()
    members = challenge["member"].to_numpy(bool)
    arranged = {name for name in statistics.columns[_separates(values, members)] if _is_arranged(name)}
    if "row" not in arranged and _sorted_within_speakers(statistics["row"], challenge):
        arranged.add("row")
    arranged |= {f"{name}_of_speaker" for name in ("row", "id_order") if name in arranged}
    return [name for name in statistics.columns if name in arranged]


def _is_arranged(column: str) -> bool:
    """Whether users choose the values of a column when they write a manifest."""
    return column in ARRANGED or column.startswith(("folder=", "name_begins=", "name_ends="))


def _sorted_within_speakers(rows: pd.Series, challenge: pd.DataFrame) -> bool:
    """Whether the rows of every speaker with both labels are sorted by label."""
    by_speaker = challenge.assign(row=rows.loc[challenge["id"]].to_numpy()).groupby("speaker")
    divided = [own for _, own in by_speaker if own["member"].nunique() > 1]
    return bool(divided) and all(
        _separates(own[["row"]].to_numpy(), own["member"].to_numpy(bool))[0] for own in divided
    )


def _separates(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    inside, outside = values[members], values[~members]
    return (inside.min(axis=0) > outside.max(axis=0)) | (inside.max(axis=0) < outside.min(axis=0))


def _order(rows: pd.DataFrame) -> pd.DataFrame:
    """Number rows and ids, overall and among the speaker's own."""
    id_order = pd.Series(np.argsort(np.argsort(rows.index.to_numpy(str))), rows.index, dtype=np.float64)
    columns = {"row": rows["row"], "id_order": id_order}
    speakers = rows["speaker"].to_numpy()
    shares = {f"{name}_of_speaker": column.groupby(speakers).rank(pct=True) for name, column in columns.items()}
    return pd.DataFrame(columns | shares)


def _names(names: Sequence[str]) -> pd.DataFrame:
    """Describe the names of files, without their suffix."""
    numbers = [re.findall(r"\d+", name) for name in names]
    columns = pd.DataFrame(
        {
            "name_length": [len(name) for name in names],
            "name_digits": [sum(map(str.isdigit, name)) for name in names],
            "name_numbers": [len(found) for found in numbers],
            # Longer numbers are hashes or dates, and exceed a float's precision.
            "name_last_number": [float(found[-1][-12:]) if found else -1.0 for found in numbers],
        }
    )
    beginnings = [re.split(r"\d|[-_. ]", name, maxsplit=1)[0] for name in names]
    ends = [re.split(r"\d|[-_. ]", name)[-1] for name in names]
    return pd.concat([columns, _values("name_begins", beginnings), _values("name_ends", ends)], axis=1)


def _folders(paths: Sequence[PurePath]) -> pd.DataFrame:
    """Describe folders and suffixes."""
    suffixes = _values("suffix", [path.suffix.lower() for path in paths])
    folders: list[set[str]] = [{str(parent) for parent in path.parents} for path in paths]
    counts = pd.Series([each for parents in folders for each in sorted(parents)]).value_counts()
    kept = _frequent(counts, len(paths))
    columns = {f"folder={name}": [float(name in parents) for parents in folders] for name in kept}
    return pd.concat([suffixes, pd.DataFrame({"depth": [len(path.parts) for path in paths]} | columns)], axis=1)


def _days(paths: pd.Series) -> pd.DataFrame:
    """Read the day of the last change; no column on one day."""
    try:
        days = [os.stat(path).st_mtime // SECONDS_PER_DAY for path in paths]
    except OSError:  # an archive's member, or no local file
        return pd.DataFrame(index=range(len(paths)))
    return pd.DataFrame({"changed_on_day": days} if len(set(days)) > 1 else {}, index=range(len(paths)))


def _sessions(rows: pd.DataFrame) -> pd.DataFrame:
    """Describe sessions; one without a name has only its recording."""
    sessions = rows["session"].astype(str).to_numpy()
    keys = np.where(sessions == "", rows.index.to_numpy(str), rows["speaker"].astype(str) + "\n" + sessions)
    order, sizes = np.unique(keys, return_inverse=True, return_counts=True)[1:]
    columns = pd.DataFrame({"session_order": order, "session_size": sizes[order], "session_missing": sessions == ""})
    return pd.concat([columns, _values("session", list(np.where(sessions == "", "", keys)))], axis=1)


def _values(name: str, values: Sequence[str]) -> pd.DataFrame:
    """Return 0/1 columns of the most frequent values."""
    series = pd.Series(values, dtype=str)
    kept = _frequent(series.value_counts(), len(values))
    return pd.DataFrame({f"{name}={value}": (series == value).astype(np.float64) for value in kept}, index=series.index)


def _frequent(counts: pd.Series, n: int) -> list[str]:
    """List values of several recordings, but not of all, the most frequent first."""
    counts = counts[(counts >= MIN_RECORDINGS) & (counts < n)]
    return sorted(counts.index, key=lambda value: (-counts[value], value))[:MAX_VALUES]
