"""Read and write `split.csv` with its description, `split.json`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import atomic_path, write_json

REMEDY = "restore the original, or delete it and draw the split again"


def write_split(path: Path, table: pd.DataFrame, description: dict[str, Any]) -> None:
    """Write a table (True as 1) and its description.

    Raises:
        InputError: the folder cannot be written.
    """
    # The description is written first, so that an existing table always has one.
    write_json(path.with_suffix(".json"), description)
    write_table(path, table)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table alone.

    Raises:
        InputError: the folder cannot be written.
    """
    flags = table.select_dtypes("bool").columns
    with atomic_path(path) as temporary:
        table.astype(dict.fromkeys(flags, int)).to_csv(temporary, index=False, lineterminator="\n")


def read_split(
    path: Path,
    leading: Sequence[str],
    trailing: Sequence[str],
    roles: Sequence[str],
    optional: Sequence[str] = (),
    counts: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a table and its description.

    Args:
        path: the CSV file.
        leading: columns before those of the shadow models; from `trained` on they contain 1 or 0.
        trailing: columns after those of the shadow models.
        roles: valid values of the column `role`.
        optional: further columns, read if they exist.
        counts: those of them that contain positive whole numbers.

    Returns:
        The table, flags as bool and counts as int, and the description: `level`, `drawn`, `sha256`, and what else the
        file has.

    Raises:
        InputError: a file or a column is missing, or a value is invalid.
    """
    table, description = _read_table(path), _read_description(path.with_suffix(".json"))
    shadows = [name for name in table.columns if name.startswith("shadow_")]
    expected = [*leading, *shadows, *trailing]
    if missing := [name for name in expected if name not in table]:
        raise InputError(f"{path} lacks columns: {list_first(missing)}; {REMEDY}")
    if shadows != [f"shadow_{number:03d}" for number in range(len(shadows))]:
        raise InputError(f"{path}: the columns of the shadow models are {list_first(shadows)}; {REMEDY}")
    flags = [*leading[leading.index("trained") :], *shadows]
    for name in flags:
        _check(path, table, ~table[name].isin(["0", "1"]), name, "is neither 1 nor 0")
    _check(path, table, ~table["role"].isin(roles), "role", f"is none of {', '.join(roles)}")
    _check(path, table, table["id"].duplicated(), "id", "occurs twice")
    expected += [name for name in optional if name in table]
    numbers = [name for name in counts if name in table]
    for name in numbers:
        _check(path, table, ~table[name].str.fullmatch(r"[1-9]\d{0,8}"), name, "is not a positive whole number")
    typed = {name: table[name] == "1" for name in flags} | {name: table[name].astype(int) for name in numbers}
    return table[expected].assign(**typed), description


def _check(path: Path, table: pd.DataFrame, invalid: pd.Series, column: str, problem: str) -> None:
    """Reject invalid rows by number (row 1 is the header)."""
    if invalid.any():
        values = [f"row {row + 2} {table[column][row]!r}" for row in np.flatnonzero(invalid)]
        raise InputError(f"{path}: column {column} {problem}: {list_first(values)}; {REMEDY}")


def _read_table(path: Path) -> pd.DataFrame:
    try:
        # All columns as text: a speaker may be named NA or 0012.
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        if not isinstance(table.index, pd.RangeIndex):  # as pandas reads rows that are longer than the header
            raise ValueError("rows have more fields than the header")
        return table
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; draw the split first") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a split ({str(error).splitlines()[0]}); {REMEDY}") from error


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        return {**description, **{key: description[key] for key in ("level", "drawn", "sha256")}}
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist, but describes the split beside it; {REMEDY}") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} does not describe a split ({error}); {REMEDY}") from error
