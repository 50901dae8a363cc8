"""Write the cells of a grid for TensorBoard's HParams tab."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.report.ablation.labels import Label, label_text, to_label
from lightning_mia.utilities.files import fresh_folder

UTILITY_TAG = "utility/heldout_pretext"


def write_hparams(folder: Path, table: pd.DataFrame, factors: Sequence[str]) -> None:
    """Write one event file per cell, replacing earlier ones.

    Args:
        folder: for `tensorboard --logdir`.
        table: `results.csv`.
        factors: names of the factors.

    Raises:
        InputError: the folder cannot be written to.
    """
    with fresh_folder(folder) as fresh:
        for cell, rows in table.groupby("cell", sort=False):
            first = rows.iloc[0]
            settings = {name: _setting(to_label(first[name])) for name in (*factors, "seed")}
            _write_cell(fresh / str(cell).removeprefix("cells/"), settings, metrics_of(rows))


def metrics_of(rows: pd.DataFrame) -> dict[str, float]:
    """Return AUROCs and held-out pretext score of one cell."""
    attacks = rows[rows["role"] == "attack"]
    metrics = {
        f"auroc/{level}/{name}": float(auroc)
        for name, level, auroc in zip(attacks["attack"], attacks["level"], attacks["auroc"], strict=True)
    }
    utility = float(rows.iloc[0]["heldout_pretext"])
    return metrics if pd.isna(utility) else {**metrics, UTILITY_TAG: utility}


def _setting(label: Label) -> float | str:
    """Keep numbers, which the tab shows on a numeric scale."""
    return label_text(label) if isinstance(label, bool | str) else label


def _write_cell(folder: Path, settings: Mapping[str, float | str], metrics: Mapping[str, float]) -> None:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    with SummaryWriter(folder) as writer:
        for summary in hparams(dict(settings), dict(metrics)):
            writer.file_writer.add_summary(summary)
        for tag, value in metrics.items():
            writer.add_scalar(tag, value)
