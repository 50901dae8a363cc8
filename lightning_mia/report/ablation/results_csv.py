"""`results.csv`: one row a cell, seed and attack, made anew from what the cells' audits left."""

import importlib.util
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.audit.ablation.grid import COSTS, Cell
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

log = logging.getLogger(__name__)

FIGURES = ("auroc", "p_value", "p_value_corrected", "advantage", "n_members", "n_nonmembers", "n_speakers", "n_shadows")
"""Columns that stand under the same name in `results.json`."""

NUMBERS = ("seed", "auroc", "auroc_lo", "auroc_hi", "p_value", "advantage", "n_members", "seconds", "heldout_pretext")
"""Columns that have to be numbers, where there is anything in them."""

PRETEXT_LOSS = "pretext_loss"
"""The attack whose scores on non-members say how well the target does its own task on speech that it has not seen."""


def rows_of(cell: Cell, folder: Path, root: Path, trained_as: str = "") -> Iterator[dict[str, Any]]:
    """Rows of a finished cell: its attacks, then its controls.

    Args:
        cell: what was varied.
        folder: run directory of the cell's audit.
        root: folder of the grid.
        trained_as: which checkpoint of a longer run its target is, if it is one.

    Raises:
        InputError: the audit's results cannot be read.
    """
    path = folder / "report" / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        of_cell = {
            "heldout_pretext": _utility(path.with_name("scores.csv")),
            **_costs(results),
            "train_loss": _train_loss(results),
            "seconds": round(sum(results["timings"].values()) - results["timings"].get("fleet_s", 0.0), 1),
            "verdict": results["verdict"]["status"],
            "cell": folder.relative_to(root).as_posix(),
            "trained_as": trained_as,
        }
        for role in ("attack", "control"):
            for found in results[f"{role}s"]:
                yield {**_labels(cell), **_row(found, role), **of_cell}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read ({error!r}); delete {folder} and start again") from error


def _labels(cell: Cell) -> dict[str, Any]:
    return {**{name: setting.label for name, setting in cell.settings.items()}, "seed": cell.seed}


def _row(found: dict[str, Any], role: str) -> dict[str, Any]:
    lower, upper = found["auroc_ci95"]
    figures = {name: found[name] for name in FIGURES}
    tprs = {tpr_column(rate["fpr"]): rate["tpr"] for rate in found["tpr_at_fpr"]}
    head = {"attack": found["name"], "role": role, "level": found["level"], "access": found["access"]}
    return {**head, "auroc": figures.pop("auroc"), "auroc_lo": lower, "auroc_hi": upper, **figures, **tprs}


def tpr_column(fpr: float) -> str:
    """Name of the column of the true positive rate at a false positive rate.

    >>> tpr_column(0.01), tpr_column(0.001)
    ('tpr_at_1_fpr', 'tpr_at_0.1_fpr')
    """
    return f"tpr_at_{round(100 * fpr, 6):g}_fpr"


def _utility(scores: Path) -> float | None:
    """Mean pretext score (log-odds; TERA: −log L1) of the target on the challenge set's non-members."""
    table = pd.read_csv(scores, usecols=["attack", "member", "score"])
    unseen = table[(table["attack"] == PRETEXT_LOSS) & (table["member"] == 0)]
    return float(unseen["score"].mean()) if len(unseen) else None


def _costs(results: dict[str, Any]) -> dict[str, Any]:
    """`COSTS`, None where they were not measured."""
    utility, privacy = results.get("utility") or {}, results.get("privacy") or {}
    target, untrained = (utility.get(name) or {} for name in ("target", "untrained"))
    lower, upper = target.get("accuracy_ci95", (None, None))
    figures = (target.get("accuracy"), lower, upper, untrained.get("accuracy"), utility.get("pretext"))
    return dict(zip(COSTS, (*figures, privacy.get("epsilon"), privacy.get("epsilon_shown")), strict=True))


def _train_loss(results: dict[str, Any]) -> float | None:
    """The last logged training loss of the target."""
    health = [model["health"] for model in results["provenance"]["models"] if model["name"] == "target"]
    losses = [values[-1] for of_model in health for figure, values in of_model.items() if figure.endswith("loss")]
    return losses[0] if losses else None


def write_table(table: pd.DataFrame, root: Path) -> None:
    """Write `results.csv`, and `results.parquet` where pyarrow is at hand."""
    with atomic_path(root / "results.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    if has_parquet():
        with atomic_path(root / "results.parquet") as temporary:
            _one_type_a_column(table).to_parquet(temporary, index=False)


def has_parquet() -> bool:
    """Whether Parquet files can be written here."""
    return importlib.util.find_spec("pyarrow") is not None


def _one_type_a_column(table: pd.DataFrame) -> pd.DataFrame:
    """Labels of mixed types become text."""
    mixed = [name for name in table if table[name].dtype == object and table[name].map(type).nunique() > 1]
    return table.assign(**{str(name): table[name].map(lambda value: value and str(value)) for name in mixed})


def read_table(root: Path, factors: Sequence[str]) -> pd.DataFrame:
    """Read `results.csv`.

    Args:
        root: folder of the grid.
        factors: columns that it has to have beside those that every grid has.

    Raises:
        InputError: the file is not such a table.
    """
    path = root / "results.csv"
    remedy = "delete it, and start `lightning-mia ablate` again: it is made anew from the cells"
    try:
        table = pd.read_csv(path, dtype={"trained_as": str})
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({' '.join(str(error).split())}); {remedy}") from error
    wanted = (*factors, *NUMBERS, "attack", "role", "level", "access", "verdict", "cell")
    if missing := [name for name in wanted if name not in table]:
        raise InputError(f"{path} has no column {missing[0]}; {remedy}")
    table = table.assign(**{name: float("nan") for name in COSTS if name not in table})
    table = table.assign(trained_as=table["trained_as"].fillna("") if "trained_as" in table else "")
    for name in (*NUMBERS, *COSTS):
        wrong = table[name].notna() & pd.to_numeric(table[name], errors="coerce").isna()
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(f"{path}, row {row + 2}: {name} is {table[name][row]!r}, no number; {remedy}")
    if bad := [name for name in ("attack", "level", "cell") if table[name].isna().any()]:
        raise InputError(f"{path} has rows without {bad[0]}; {remedy}")
    return table
