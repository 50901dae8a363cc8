"""`scores.csv`: every score of every attack and control, so that anyone can recompute every figure."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lightning_mia.errors import InputError
from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.scores import Scores
from lightning_mia.files import atomic_path

COLUMNS = ("attack", "level", "unit_id", "speaker", "member", "score")
_REMEDY = "run the attack again to write it anew"


class Unit(NamedTuple):
    """One row of the table, without the attack that scored it."""

    unit_id: str
    speaker: str
    member: bool
    score: float


def write_scores(path: Path, scores: Iterable[Scores]) -> None:
    """Write one row a unit and attack; scores as the shortest decimals that read back as the same float64."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for table in scores:
            writer.writerows(
                (table.name, table.level, unit, speaker, int(member), repr(float(value)))
                for unit, speaker, member, value in zip(
                    table.unit_ids, table.speakers, table.members, table.values, strict=True
                )
            )


def read_scores(path: Path, results: Iterable[AttackResult]) -> tuple[Scores, ...]:
    """Read the scores of `results`, in their order; access and sidedness come from the results.

    Raises:
        InputError: the file is missing, is not such a table, or does not belong to the results.
    """
    groups: dict[tuple[str, str], list[Unit]] = {}
    for attack, level, unit in _rows(path):
        groups.setdefault((attack, level), []).append(unit)
    return tuple(_scores(groups.get((result.name, result.level), []), result, path) for result in results)


def _scores(units: list[Unit], result: AttackResult, path: Path) -> Scores:
    n_members = sum(unit.member for unit in units)
    if (n_members, len(units) - n_members) != (result.n_members, result.n_nonmembers):
        raise InputError(
            f"{path}: {n_members} members and {len(units) - n_members} non-members of '{result.name}' "
            f"at {result.level} level, but the results are of {result.n_members} and {result.n_nonmembers}; "
            f"{_REMEDY}"
        )
    try:
        return Scores(
            name=result.name,
            level=result.level,
            access=result.access,
            two_sided=result.two_sided,
            unit_ids=np.array([unit.unit_id for unit in units], dtype=str),
            speakers=np.array([unit.speaker for unit in units], dtype=str),
            members=np.array([unit.member for unit in units], dtype=bool),
            values=np.array([unit.score for unit in units], dtype=np.float64),
        )
    except ValueError as error:
        raise InputError(f"{path}: {error}; {_REMEDY}") from error


def _rows(path: Path) -> Iterator[tuple[str, str, Unit]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise InputError(f"{path}, row 1: expected the columns {','.join(COLUMNS)}; {_REMEDY}")
            for row in reader:
                yield _row(row, f"{path}, row {reader.line_num}")
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; {_REMEDY}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); {_REMEDY}") from error


def _row(row: list[str], where: str) -> tuple[str, str, Unit]:
    try:
        attack, level, unit_id, speaker, member, score = row
        return attack, level, Unit(unit_id, speaker, {"0": False, "1": True}[member], float(score))
    except (ValueError, KeyError) as error:
        raise InputError(f"{where}: expected {','.join(COLUMNS)}, member 1 or 0; {_REMEDY}") from error
