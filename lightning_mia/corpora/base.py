"""Base class of corpora; checks of their utterance tables."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np
import pandas as pd

from lightning_mia.corpora.formats.text import (
    CONTROL_CHARACTERS,
    NotTextError,
    as_text,
    find_file,
    has_surrogates,
    normalise_name,
)
from lightning_mia.utilities.errors import InputError, list_first

REQUIRED_COLUMNS = ("id", "path", "speaker")
OPTIONAL_COLUMNS = ("text", "duration", "session", "gender", "accent", "member")
MEMBER_VALUES = ("1", "0", "held_back", "sibling", "")
MEMBER_SPELLINGS = {"1.0": "1", "0.0": "0", "true": "1", "false": "0"}
"""What spreadsheets, pandas and JSON make of 1 and 0."""


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

    Names are normalised to NFC, so that one person has one name; files are found under
    either form.

    Args:
        table: as returned by `Corpus.table`. If its index is named "line", errors name rows by line number.
        where: name of the source, with which every error begins.

    Returns:
        The known columns, rows numbered from 0.

    Raises:
        InputError: no rows, a missing column, an empty or duplicate id, an empty path or speaker, a value that is
            neither text nor a number or holds control characters, a duration that is not a number of seconds, a
            `member` value other than 1, 0, held_back, sibling and empty.
    """
    if table.empty:
        raise InputError(f"{where}: no utterances; give a source with at least one")
    missing = [name for name in REQUIRED_COLUMNS if name not in table]
    if missing:
        present, required = ", ".join(map(str, table)), ", ".join(REQUIRED_COLUMNS)
        raise InputError(f"{where}: no column {', '.join(missing)}; found {present}; {required} are needed")
    table = table[[name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in table]].copy()
    for name in table:
        table[name] = _read_column(table[name], where)
    for column, invalid, problem, remedy in _violations(table):
        if invalid.any():
            rows = _row_names(table[column][invalid])
            raise InputError(f"{where}: {problem} in {len(rows)} of {len(table)} rows: {list_first(rows)}; {remedy}")
    if "duration" in table:
        table["duration"] = pd.to_numeric(table["duration"], errors="coerce").astype(float)
    table["path"] = table["path"].map(find_file)
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


def _read_column(column: pd.Series, where: str) -> list[str]:
    """Return a column's values as text, names in one form of Unicode.

    Raises:
        InputError: lists, objects or infinite numbers.
    """
    texts, wrong = [], {}
    for number, value in enumerate(column):
        try:
            texts.append(as_text(value))
            if has_surrogates(texts[-1]):
                wrong[number] = f"({texts[-1]!r})"
        except NotTextError as error:
            wrong[number] = f"({error})"
            texts.append("")
    if wrong:
        numbers = _row_numbers(column.iloc[[*wrong]])
        rows = [f"{row} {value}" for row, value in zip(numbers, wrong.values(), strict=True)]
        problem = f"{column.name} is neither text in UTF-8 nor a number in {len(rows)} of {len(column)} rows"
        raise InputError(f"{where}: {problem}: {list_first(rows)}; write one name or number")
    if column.name == "member":
        return [MEMBER_SPELLINGS.get(text.strip().lower(), normalise_name(text)) for text in texts]
    return texts if column.name == "path" else [normalise_name(text) for text in texts]


def _violations(table: pd.DataFrame) -> Iterator[tuple[str, pd.Series, str, str]]:
    """Yield column, invalid rows, problem and remedy of each rule."""
    for name in REQUIRED_COLUMNS:
        yield name, table[name] == "", f"empty {name}", "fill it in"
    for column in map(str, table):
        pattern = CONTROL_CHARACTERS.get(column, CONTROL_CHARACTERS["name"])
        unwritable = table[column].map(lambda text, pattern=pattern: bool(pattern.search(text)))
        problem = f"{column} with a line break or control character, or that begins with ="
        yield column, unwritable, problem, "remove it"
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
    return [name + (f" ({value!r})" if value else "") for name, value in zip(_row_numbers(values), values, strict=True)]


def _row_numbers(values: pd.Series) -> list[str]:
    unit, first = ("line", 0) if values.index.name == "line" else ("row", 1)
    return [f"{unit} {number}" for number in values.index.to_numpy() + first]
