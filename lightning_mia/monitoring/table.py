"""The table of a training's leakage: one row a measurement, attack and layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.errors import InputError
from lightning_mia.files import atomic_path

TABLE = "leakage.csv"
COLUMNS = ("epoch", "step", "attack", "layer", "auroc", "lo", "hi", "gap")


def write_table(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `leakage.csv`, whole or not at all; a layer is empty where an attack reads none.

    Raises:
        InputError: the folder cannot be written to.
    """
    with atomic_path(folder / TABLE) as temporary:
        as_table(rows).to_csv(temporary, index=False)


def as_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a data frame with the columns of `leakage.csv`."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"layer": "Int64"})


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        table = pd.read_csv(path).astype({"attack": str, "layer": "Int64"})
        return table[list(COLUMNS)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path} is no table of leakage: {str(error).splitlines()[0]}") from error
