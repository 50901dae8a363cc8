"""Base class of corpora; checks of their utterance tables."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError, list_first

REQUIRED_COLUMNS = ("id", "path", "speaker")
OPTIONAL_COLUMNS = ("text", "duration", "session", "gender", "accent", "member")
MEMBER_VALUES = ("1", "0", "held_back", "sibling", "")


class Corpus(ABC):
    """A source of recordings.

    Subclasses implement `table`.

    Example:
        >>> class Pair(Corpus):
        ...     def table(self):
        ...         rows = [("a", "/speech/a.wav", "Ann"), ("b", "/speech/b.wav", "Bob")]
        ...         return check_table(pd.DataFrame(rows, columns=["id", "path", "speaker"]), "Pair")
        >>> Pair().table()["speaker"].tolist()
        ['Ann', 'Bob']
    """

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """Return one row per utterance; may read, download or synthesise.

        Columns: `id` (str, unique), `path` (str, absolute) and `speaker` (str). Optional: `text` (str), `duration`
        (float, seconds, as stated by the source, NaN if unknown), `session` (str: chapter, video, talk), the
        speaker's `gender` and `accent` (str, "" if unknown) and `member` ("1", "0", "held_back", "sibling", or "" =
        auxiliary).

        Raises:
            InputError: the source is missing, empty or malformed.
        """


def check_table(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """Validate an utterance table and select its known columns.

    Args:
        table: as returned by `Corpus.table`. If its index is named "line", errors name rows by line number.
        where: name of the source, with which every error begins.

    Returns:
        The known columns, rows numbered from 0.

    Raises:
        InputError: no rows, a missing column, an empty or duplicate id, an empty path or speaker, a duration
            that is not a number of seconds, a `member` value other than 1, 0, held_back, sibling and empty.
    """
    if table.empty:
        raise InputError(f"{where}: no utterances; give a source with at least one")
    missing = [name for name in REQUIRED_COLUMNS if name not in table]
    if missing:
        present, required = ", ".join(map(str, table)), ", ".join(REQUIRED_COLUMNS)
        raise InputError(f"{where}: no column {', '.join(missing)}; found {present}; {required} are needed")
    table = table[[name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in table]].copy()
    for name in table:
        table[name] = [_as_text(value) for value in table[name]]
    for column, invalid, problem, remedy in _violations(table):
        if invalid.any():
            rows = _row_names(table[column][invalid])
            raise InputError(f"{where}: {problem} in {len(rows)} of {len(table)} rows: {list_first(rows)}; {remedy}")
    if "duration" in table:
        table["duration"] = pd.to_numeric(table["duration"], errors="coerce").astype(float)
    return table.reset_index(drop=True)


def ids_from_paths(relative: Sequence[PurePath]) -> list[str]:
    """Derive ids from relative paths.

    Suffixes are omitted unless ids would collide.

    >>> ids_from_paths([PurePath("a/1.wav"), PurePath("b/1.wav"), PurePath("b/1.flac")])
    ['a/1', 'b/1.wav', 'b/1.flac']
    """
    bare = [path.with_suffix("").as_posix() for path in relative]
    count = Counter(bare)
    return [name if count[name] == 1 else path.as_posix() for name, path in zip(bare, relative, strict=True)]


def speaker_facts(table: pd.DataFrame) -> pd.DataFrame:
    """Return gender and accent of every recording's speaker, by id.

    Unknown values are "".
    """
    facts = {name: table[name].to_list() if name in table else "" for name in ("gender", "accent")}
    return pd.DataFrame(facts, index=pd.Index(table["id"].to_list(), name="id"))


def _as_text(value: object) -> str:
    if value is None or value is pd.NA or value != value:  # NaN differs from itself
        return ""
    return str(value)


def _violations(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series, str, str]]:
    """Yield column, invalid rows, problem and remedy of each rule."""
    for name in REQUIRED_COLUMNS:
        yield name, table[name] == "", f"empty {name}", "fill it in"
    yield "id", table["id"].duplicated(keep=False), "duplicate id", "make ids unique"
    if "member" in table:
        unknown = ~table["member"].isin(MEMBER_VALUES)
        yield "member", unknown, "unknown member value", "use 1, 0, held_back, sibling or empty (auxiliary)"
    if "duration" in table:
        seconds = pd.to_numeric(table["duration"], errors="coerce")
        wrong = (table["duration"] != "") & ~((seconds >= 0) & (seconds < np.inf))
        yield "duration", wrong, "duration that is not a number of seconds", "correct it or leave it empty"


def _row_names(values: pd.Series) -> list[str]:
    """Name rows by line or row number, with their value."""
    unit, first = ("line", 0) if values.index.name == "line" else ("row", 1)
    numbers = values.index.to_numpy() + first
    return [f"{unit} {n}" + (f" ({value!r})" if value else "") for n, value in zip(numbers, values, strict=True)]
