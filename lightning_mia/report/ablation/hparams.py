"""The cells of a grid in TensorBoard's HParams tab: what was varied, beside what came of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lightning_mia.report.ablation.labels import Label, label_in, text_of
from lightning_mia.utilities.files import fresh_folder

UTILITY = "utility/heldout_pretext"


def write_tensorboard(folder: Path, table: pd.DataFrame, factors: Sequence[str]) -> None:
    """Write an event file a cell, in place of what `folder` held before.

    Args:
        folder: for `tensorboard --logdir`.
        table: `results.csv`.
        factors: what is varied.

    Raises:
        InputError: the folder cannot be written to.
    """
    with fresh_folder(folder) as fresh:
        for cell, rows in table.groupby("cell", sort=False):
            first = rows.iloc[0]
            settings = {name: _setting(label_in(first[name])) for name in (*factors, "seed")}
            _write_cell(fresh / str(cell).removeprefix("cells/"), settings, metrics_of(rows))


def metrics_of(rows: pd.DataFrame) -> dict[str, float]:
    """AUROC of every attack, and how well the model does its own task, of the rows of one cell."""
    attacks = rows[rows["role"] == "attack"]
    found = {
        f"auroc/{level}/{name}": float(auroc)
        for name, level, auroc in zip(attacks["attack"], attacks["level"], attacks["auroc"], strict=True)
    }
    utility = float(rows.iloc[0]["heldout_pretext"])
    return found if pd.isna(utility) else {**found, UTILITY: utility}


def _setting(label: Label) -> float | str:
    """A number as a number, so that the tab has a scale for it."""
    return text_of(label) if isinstance(label, bool | str) else label


def _write_cell(folder: Path, settings: Mapping[str, float | str], metrics: Mapping[str, float]) -> None:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    with SummaryWriter(folder) as writer:
        for summary in hparams(dict(settings), dict(metrics)):
            writer.file_writer.add_summary(summary)
        for tag, value in metrics.items():
            writer.add_scalar(tag, value)
