"""`scores.csv`: every score of every attack and control, so that anyone can recompute every figure."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lightning_mia.errors import InputError
from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.scores import Scores
from lightning_mia.files import atomic_path

COLUMNS = ("attack", "level", "unit_id", "speaker", "member", "score")
_REMEDY = "run the attack again to write it anew"
_MEMBER = {"0": False, "1": True}


@dataclass
class _Columns:
    """The rows of one attack at one level, without the names that all of them share."""

    unit_ids: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    members: list[bool] = field(default_factory=list)
    values: array[float] = field(default_factory=lambda: array("d"))


def write_scores(path: Path, scores: Iterable[Scores]) -> None:
    """Write one row a unit and attack; scores as the shortest decimals that read back as the same float64."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for table in scores:
            columns = (table.unit_ids, table.speakers, table.members.astype(int), table.values)
            rows = zip(*(column.tolist() for column in columns), strict=True)
            writer.writerows((table.name, table.level, *row) for row in rows)


def read_scores(path: Path, results: Iterable[AttackResult]) -> tuple[Scores, ...]:
    """Read the scores of `results`, in their order; access and sidedness come from the results.

    Raises:
        InputError: the file is missing, is not such a table, or does not belong to the results.
    """
    columns = _read(path)
    names: list[tuple[_Columns, np.ndarray, np.ndarray]] = []  # arrays of names, shared where they are the same
    return tuple(_scores(columns.get((one.name, one.level), _Columns()), names, one, path) for one in results)


def _scores(
    columns: _Columns, names: list[tuple[_Columns, np.ndarray, np.ndarray]], result: AttackResult, path: Path
) -> Scores:
    n_members = sum(columns.members)
    if (n_members, len(columns.members) - n_members) != (result.n_members, result.n_nonmembers):
        raise InputError(
            f"{path}: {n_members} members and {len(columns.members) - n_members} non-members of '{result.name}' "
            f"at {result.level} level, but the results are of {result.n_members} and {result.n_nonmembers}; "
            f"{_REMEDY}"
        )
    unit_ids, speakers = _shared_names(columns, names)
    try:
        return Scores(
            name=result.name,
            level=result.level,
            access=result.access,
            two_sided=result.two_sided,
            unit_ids=unit_ids,
            speakers=speakers,
            members=np.array(columns.members, dtype=bool),
            values=np.array(columns.values, dtype=np.float64),
        )
    except ValueError as error:
        raise InputError(f"{path}: {error}; {_REMEDY}") from error


def _shared_names(
    columns: _Columns, names: list[tuple[_Columns, np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Unit ids and speakers as arrays, those of an earlier attack where it judged the same units."""
    for earlier, unit_ids, speakers in names:
        if earlier.unit_ids == columns.unit_ids and earlier.speakers == columns.speakers:
            return unit_ids, speakers
    names.append((columns, np.array(columns.unit_ids, dtype=str), np.array(columns.speakers, dtype=str)))
    return names[-1][1:]


def _read(path: Path) -> dict[tuple[str, str], _Columns]:
    """Columns by attack and level; a name that comes in many rows is kept once."""
    columns: dict[tuple[str, str], _Columns] = {}
    known: dict[str, str] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise InputError(f"{path}, row 1: expected the columns {','.join(COLUMNS)}; {_REMEDY}")
            for row in reader:
                try:
                    attack, level, unit, speaker, member, score = row
                    is_member, value = _MEMBER[member], float(score)
                except (ValueError, KeyError) as error:
                    where = f"{path}, row {reader.line_num}"
                    raise InputError(f"{where}: expected {','.join(COLUMNS)}, member 1 or 0; {_REMEDY}") from error
                of_attack = columns.setdefault((attack, level), _Columns())
                of_attack.unit_ids.append(known.setdefault(unit, unit))
                of_attack.speakers.append(known.setdefault(speaker, speaker))
                of_attack.members.append(is_member)
                of_attack.values.append(value)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; {_REMEDY}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); {_REMEDY}") from error
    return columns
