"""`units.csv`: model-free properties of every evaluated unit."""

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

from lightning_mia.report.audit_report import UnitFacts
from lightning_mia.report.files.serialization import REMEDY, quote_name, unquote_name
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

COLUMNS = tuple(field.name for field in fields(UnitFacts))


def write_units(path: Path, units: Iterable[UnitFacts]) -> None:
    """Write one row per unit."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for unit in units:
            writer.writerow(quote_name(value) if isinstance(value, str) else value for value in astuple(unit))


def read_units(path: Path) -> tuple[UnitFacts, ...]:
    """Read the table; empty if the file does not exist.

    Raises:
        InputError: it is damaged.
    """
    if not path.exists():
        return ()
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            if tuple(next(rows, ())) != COLUMNS:
                raise InputError(f"{path}, row 1: expected the columns {','.join(COLUMNS)}; {REMEDY}")
            return tuple(_unit(row, f"{path}, row {rows.line_num}") for row in rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({error}); {REMEDY}") from error


def _unit(row: list[str], where: str) -> UnitFacts:
    try:
        level, unit_id, seconds, decibels, *facts = row
        gender, accent = map(unquote_name, facts)
        return UnitFacts(level, unquote_name(unit_id), float(seconds), float(decibels), gender, accent)
    except ValueError as error:
        raise InputError(f"{where}: expected {','.join(COLUMNS)}; {REMEDY}") from error
