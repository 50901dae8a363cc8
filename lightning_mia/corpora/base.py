"""The table of utterances: what every source of recordings gives, and what is checked before it is used."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError, list_first

REQUIRED = ("id", "path", "speaker")
OPTIONAL = ("text", "duration", "session", "gender", "accent", "member")
MEMBER_VALUES = ("1", "0", "held_back", "")


class Corpus(ABC):
    """A source of recordings."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Return one row an utterance; may read, download or synthesise.

        Columns: `id` (str, unique), `path` (str, absolute), `speaker` (str) always; `text` (str), `duration`
        (float, seconds, as the source states it, NaN where it does not), `session` (str: chapter, video, talk),
        `gender` and `accent` of the speaker (str, "" where unknown) and `member` ("1", "0", "held_back" or "" =
        auxiliary) where the source has them.

        Raises:
            InputError: the source is missing, empty or malformed.
        """


def check_table(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the columns that this package knows, text as text, rows numbered from 0, or say what is wrong.

    Args:
        table: as `Corpus.table` gives it; further columns are left out. Where its index is named "line",
            errors name rows by that line number of the source.
        where: the source as the user knows it, which every error begins with.

    Raises:
        InputError: no rows, a missing column, an empty or duplicate id, an empty path or speaker, a duration
            that is not a number of seconds, a `member` value other than 1, 0, held_back and empty.
    """
    if table.empty:
        raise InputError(f"{where}: no utterances; give a source with at least one")
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        found = f"found {', '.join(map(str, table))}"
        raise InputError(f"{where}: no column {', '.join(missing)}; {found}; {', '.join(REQUIRED)} are needed")
    table = table[[name for name in (*REQUIRED, *OPTIONAL) if name in table]].copy()
    for name in table:
        table[name] = [_as_text(value) for value in table[name]]
    for column, bad, what, remedy in _rules(table):
        if bad.any():
            rows = _named_rows(table[column][bad])
            raise InputError(f"{where}: {what} in {len(rows)} of {len(table)} rows: {list_first(rows)}; {remedy}")
    if "duration" in table:
        table["duration"] = pd.to_numeric(table["duration"], errors="coerce").astype(float)
    return table.reset_index(drop=True)


def ids_of_paths(relative: Sequence[PurePath]) -> list[str]:
    """Name utterances by relative path without suffix; where files would share a name, they keep the suffix.

    >>> ids_of_paths([PurePath("a/1.wav"), PurePath("b/1.wav"), PurePath("b/1.flac")])
    ['a/1', 'b/1.wav', 'b/1.flac']
    """
    bare = [path.with_suffix("").as_posix() for path in relative]
    count = Counter(bare)
    return [name if count[name] == 1 else path.as_posix() for name, path in zip(bare, relative, strict=True)]


def _as_text(value: object) -> str:
    if value is None or value is pd.NA or value != value:  # NaN differs from itself
        return ""
    return str(value)


def _rules(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series, str, str]]:
    """Yield column, which rows break a rule there, what that is called, and how to mend it."""
    for name in REQUIRED:
        yield name, table[name] == "", f"empty {name}", "fill it in"
    yield "id", table["id"].duplicated(keep=False), "duplicate id", "make ids unique"
    if "member" in table:
        unknown = ~table["member"].isin(MEMBER_VALUES)
        yield "member", unknown, "unknown member value", "use 1, 0, held_back or empty (auxiliary)"
    if "duration" in table:
        seconds = pd.to_numeric(table["duration"], errors="coerce")
        wrong = (table["duration"] != "") & ~((seconds >= 0) & (seconds < np.inf))
        yield "duration", wrong, "duration that is not a number of seconds", "correct it or leave it empty"


def _named_rows(values: pd.Series) -> list[str]:
    """Name rows by line of the source where it has lines, else by their number from 1, with their value."""
    unit, first = ("line", 0) if values.index.name == "line" else ("row", 1)
    numbers = values.index.to_numpy() + first
    return [f"{unit} {n}" + (f" ({value!r})" if value else "") for n, value in zip(numbers, values, strict=True)]
