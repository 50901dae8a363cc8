"""`results.csv`: one row per cell, seed and attack."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.report.ablation.labels import COST_COLUMNS
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

NUMBERS = ("seed", "auroc", "auroc_lo", "auroc_hi", "p_value", "advantage", "n_members", "seconds", "heldout_pretext")
"""Columns of numbers; cells may be empty."""


def tpr_column(fpr: float) -> str:
    """Return the column name of the TPR at an FPR.

    >>> tpr_column(0.01), tpr_column(0.001)
    ('tpr_at_1_fpr', 'tpr_at_0.1_fpr')
    """
    return f"tpr_at_{round(100 * fpr, 6):g}_fpr"


def write_table(table: pd.DataFrame, root: Path) -> None:
    """Write `results.csv`, and `results.parquet` if pyarrow is installed."""
    with atomic_path(root / "results.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    if has_parquet():
        with atomic_path(root / "results.parquet") as temporary:
            _with_uniform_columns(table).to_parquet(temporary, index=False)


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def _with_uniform_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Convert columns of mixed types to text."""
    mixed = [name for name in table if table[name].dtype == object and table[name].map(type).nunique() > 1]
    return table.assign(**{str(name): table[name].map(lambda value: value and str(value)) for name in mixed})


def read_table(root: Path, factors: Sequence[str]) -> pd.DataFrame:
    """Read `results.csv`.

    Args:
        root: folder of the grid.
        factors: required columns, in addition to those of every grid.

    Raises:
        InputError: the file is damaged.
    """
    path = root / "results.csv"
    remedy = "delete it and start `lightning-mia ablate` again, which collects it from the cells"
    try:
        table = pd.read_csv(path, dtype={"trained_as": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({' '.join(str(error).split())}); {remedy}") from error
    required = (*factors, *NUMBERS, "attack", "role", "level", "access", "verdict", "cell")
    if missing := [name for name in required if name not in table]:
        raise InputError(f"{path} has no column {missing[0]}; {remedy}")
    table = table.assign(**{name: float("nan") for name in COST_COLUMNS if name not in table})
    table = table.assign(trained_as=table["trained_as"].fillna("") if "trained_as" in table else "")
    for name in (*NUMBERS, *COST_COLUMNS):
        wrong = table[name].notna() & pd.to_numeric(table[name], errors="coerce").isna()
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(f"{path}, row {row + 2}: {name} is {table[name][row]!r}, not a number; {remedy}")
    if incomplete := [name for name in ("attack", "level", "cell") if table[name].isna().any()]:
        raise InputError(f"{path} has rows without {incomplete[0]}; {remedy}")
    return table
