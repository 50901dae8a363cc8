"""`scores.csv`: all scores of attacks and controls.

An audit of a large corpus has millions of rows, most of which name the same units: names are encoded once for all
attacks on the same units, and read as integers.
"""

from __future__ import annotations

import csv
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import numpy as np
import pandas as pd

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.scores import Scores
from lightning_mia.report.files.serialization import REMEDY, quote_name, unquote_name
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

COLUMNS = ("attack", "level", "unit_id", "speaker", "member", "score")
CHUNK_ROWS = 1_000_000
EXPECTED = f"expected {','.join(COLUMNS)}, member 1 or 0"


def write_scores(path: Path, scores: Iterable[Scores]) -> None:
    """Write one row per attack and unit, in full precision."""
    units = _UnitColumns(())
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        file.write(f"{','.join(COLUMNS)}\n")
        for table in scores:
            units = units.updated(table.unit_ids, table.speakers, table.members.astype(int))
            (attack,) = _encoded([(table.name, table.level)])
            rows = zip(units.encoded, table.values.tolist(), strict=True)
            file.writelines(f"{attack},{unit},{value!r}\n" for unit, value in rows)


@dataclass(frozen=True)
class _UnitColumns:
    """Columns shared by all rows of a unit, encoded."""

    columns: tuple[np.ndarray, ...]
    encoded: Sequence[str] = ()

    def updated(self, *columns: np.ndarray) -> _UnitColumns:
        """Return these columns, encoded again only if they changed."""
        same = len(self.columns) == len(columns) and all(map(np.array_equal, self.columns, columns))
        return self if same else _UnitColumns(columns, _encoded(zip(*map(_quoted, columns), strict=True)))


def _quoted(column: np.ndarray) -> list[object]:
    return [quote_name(value) if isinstance(value, str) else value for value in column.tolist()]


def _encoded(rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Encode rows as CSV, without line ends."""
    lines: list[str] = []
    csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(rows)  # quotes \r and \n in names
    return [line.removesuffix("\r\n") for line in lines]


def read_scores(path: Path, results: Iterable[AttackResult]) -> tuple[Scores, ...]:
    """Read the scores of `results`, in their order.

    Raises:
        InputError: the file is missing or damaged, or does not belong to the results.
    """
    table = _read(path)
    return tuple(_scores(table, result, path) for result in results)


def _scores(table: _Table, result: AttackResult, path: Path) -> Scores:
    rows = table.rows_of(result.name, result.level)
    n_members = int(rows.members.sum())
    if (n_members, len(rows.members) - n_members) != (result.n_members, result.n_nonmembers):
        raise InputError(
            f"{path}: {n_members} members and {len(rows.members) - n_members} non-members of '{result.name}' "
            f"at {result.level} level, but the results are of {result.n_members} and {result.n_nonmembers}; "
            f"{REMEDY}"
        )
    unit_ids, speakers = table.names_of(rows)
    try:
        return Scores(
            name=result.name,
            level=result.level,
            access=result.access,
            two_sided=result.two_sided,
            unit_ids=unit_ids,
            speakers=speakers,
            members=rows.members,
            values=rows.values,
            part=result.part,
        )
    except ValueError as error:
        raise InputError(f"{path}: {error}; {REMEDY}") from error


@dataclass(frozen=True)
class _Rows:
    """Rows of one attack, with names as integers."""

    unit_ids: np.ndarray  # (n,) int
    speakers: np.ndarray  # (n,) int
    members: np.ndarray  # (n,) bool
    values: np.ndarray  # (n,) float64

    @staticmethod
    def joined(parts: Sequence[_Rows]) -> _Rows:
        arrays = zip(*((part.unit_ids, part.speakers, part.members, part.values) for part in parts), strict=True)
        return _Rows(*map(np.concatenate, arrays))


_NO_ROWS = _Rows(np.empty(0, int), np.empty(0, int), np.empty(0, bool), np.empty(0))


@dataclass
class _Table:
    """All rows read so far."""

    numbers: dict[str, int] = field(default_factory=dict)  # by name, in order of appearance
    parts: dict[Hashable, list[_Rows]] = field(default_factory=dict)  # by attack and level
    shared: list[tuple[_Rows, np.ndarray, np.ndarray]] = field(default_factory=list)  # rows, and their names

    def add(self, chunk: pd.DataFrame) -> None:
        """Add rows.

        Raises:
            ValueError: a member is not 1 or 0, or a score is not a number.
        """
        member = chunk["member"]
        if not member.isin(("0", "1")).all():
            raise ValueError("a member is neither 1 nor 0")
        rows = _Rows(
            self._numbers_of(chunk["unit_id"]),
            self._numbers_of(chunk["speaker"]),
            (member == "1").to_numpy(dtype=bool),
            np.fromiter(map(float, chunk["score"].tolist()), np.float64, len(chunk)),  # Python parses floats exactly
        )
        for key, positions in chunk.groupby(["attack", "level"]).indices.items():
            part = _Rows(*(column[positions] for column in vars(rows).values()))
            self.parts.setdefault(key, []).append(part)

    def _numbers_of(self, column: pd.Series) -> np.ndarray:
        codes, names = pd.factorize(column)
        numbers = [self.numbers.setdefault(name, len(self.numbers)) for name in names.tolist()]
        return np.array(numbers, dtype=int)[codes]

    def rows_of(self, attack: str, level: str) -> _Rows:
        """Return all rows of an attack, in file order."""
        parts = self.parts.get((attack, level))
        return _Rows.joined(parts) if parts else _NO_ROWS

    def names_of(self, rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return unit ids and speakers, shared between attacks if equal."""
        for earlier, unit_ids, speakers in self.shared:
            same = (np.array_equal(getattr(earlier, name), getattr(rows, name)) for name in ("unit_ids", "speakers"))
            if all(same):
                return unit_ids, speakers
        names = np.array([unquote_name(name) for name in self.numbers], dtype=str)
        self.shared.append((rows, names[rows.unit_ids], names[rows.speakers]))
        return self.shared[-1][1:]


def _read(path: Path) -> _Table:
    table = _Table()
    try:
        chunks = pd.read_csv(path, dtype=object, na_filter=False, skip_blank_lines=False, chunksize=CHUNK_ROWS)
        for chunk in chunks:
            if tuple(chunk.columns) != COLUMNS or not isinstance(chunk.index, pd.RangeIndex):
                raise ValueError("unexpected columns")
            table.add(chunk)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; {REMEDY}") from error
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        _refuse(path, error)
    return table


def _refuse(path: Path, reason: Exception) -> NoReturn:
    """Report the first row that cannot be read.

    Raises:
        InputError: always.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise InputError(f"{path}, row 1: expected the columns {','.join(COLUMNS)}; {REMEDY}") from reason
            for row in reader:
                if not _readable(row):
                    raise InputError(f"{path}, row {reader.line_num}: {EXPECTED}; {REMEDY}") from reason
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); {REMEDY}") from error
    raise InputError(f"{path} cannot be read ({reason}); {REMEDY}") from reason


def _readable(row: Sequence[str]) -> bool:
    try:
        *_, member, score = row
        float(score)
    except ValueError:
        return False
    return len(row) == len(COLUMNS) and member in ("0", "1")
