"""Collect the results of finished cells for the grid's table."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.audit.ablation.grid import Cell
from lightning_mia.report.ablation.labels import COST_COLUMNS, PRETEXT_LOSS
from lightning_mia.report.ablation.results_csv import tpr_column
from lightning_mia.report.files.results_json import check_hashes
from lightning_mia.utilities.errors import InputError

FIGURES = ("auroc", "p_value", "p_value_corrected", "advantage", "n_members", "n_nonmembers", "n_speakers", "n_shadows")
"""Columns with the names of keys in `results.json`."""


def collect_rows(cell: Cell, folder: Path, root: Path, trained_as: str = "") -> Iterator[dict[str, Any]]:
    """Yield the rows of a finished cell: attacks, then controls.

    Args:
        cell: the cell.
        folder: run directory of the cell.
        root: folder of the grid.
        trained_as: checkpoint of a longer run that is the target, or empty.

    Raises:
        InputError: the results cannot be read.
    """
    path = folder / "report" / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        check_hashes(results, path)
        shared = {
            "heldout_pretext": _heldout_pretext(path.with_name("scores.csv")),
            **_costs(results),
            "train_loss": _train_loss(results),
            "seconds": round(sum(results["timings"].values()) - results["timings"].get("fleet_s", 0.0), 1),
            "verdict": results["verdict"]["status"],
            "cell": folder.relative_to(root).as_posix(),
            "trained_as": trained_as,
        }
        for role in ("attack", "control"):
            for result in results[f"{role}s"]:
                yield {**_labels(cell), **_row(result, role), **shared}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read ({error!r}); delete {folder} and run the same command again"
        ) from error


def _labels(cell: Cell) -> dict[str, Any]:
    return {**{name: setting.label for name, setting in cell.settings.items()}, "seed": cell.seed}


def _row(result: dict[str, Any], role: str) -> dict[str, Any]:
    lower, upper = result["auroc_ci95"]
    figures = {name: result[name] for name in FIGURES}
    tprs = {tpr_column(rate["fpr"]): rate["tpr"] for rate in result["tpr_at_fpr"]}
    head = {"attack": result["name"], "role": role, "level": result["level"], "access": result["access"]}
    return {**head, "auroc": figures.pop("auroc"), "auroc_lo": lower, "auroc_hi": upper, **figures, **tprs}


def _heldout_pretext(scores: Path) -> float | None:
    """Return the mean pretext score on non-members.

    It is in log-odds (TERA: −log L1).
    """
    table = pd.read_csv(scores, usecols=["attack", "member", "score"])
    nonmembers = table[(table["attack"] == PRETEXT_LOSS) & (table["member"] == 0)]
    return float(nonmembers["score"].mean()) if len(nonmembers) else None


def _costs(results: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `COST_COLUMNS`; None if not measured."""
    utility, privacy = results.get("utility") or {}, results.get("privacy") or {}
    target, untrained = (utility.get(name) or {} for name in ("target", "untrained"))
    lower, upper = target.get("accuracy_ci95", (None, None))
    figures = (target.get("accuracy"), lower, upper, untrained.get("accuracy"), utility.get("pretext"))
    return dict(zip(COST_COLUMNS, (*figures, privacy.get("epsilon"), privacy.get("epsilon_shown")), strict=True))


def _train_loss(results: dict[str, Any]) -> float | None:
    """Return the last logged training loss of the target."""
    health = [model["health"] for model in results["provenance"]["models"] if model["name"] == "target"]
    losses = [values[-1] for figures in health for name, values in figures.items() if name.endswith("loss")]
    return losses[0] if losses else None
