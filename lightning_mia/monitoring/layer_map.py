"""Leakage by layer and epoch, as a map."""

from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_mia.files import atomic_path
from lightning_mia.report.palette import INK
from lightning_mia.report.panel import panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_CONTRAST = 0.1  # AUROC either side of chance that the colours span at least, or noise would look like leakage


def attacks_by_layer(table: pd.DataFrame) -> list[str]:
    """The attacks that were measured at several layers.

    Args:
        table: with the columns of `leakage.csv`.
    """
    n_layers = table.groupby("attack", sort=False)["layer"].nunique()
    return [str(attack) for attack, n in n_layers.items() if n > 1]


def layer_map(table: pd.DataFrame, attack: str) -> "Figure":
    """Draw the AUROC of an attack, one row a layer (the input below), one column a measured epoch.

    The colours diverge from chance, 0.5: an attack whose sign is not known leaks on both sides of it.
    """
    aurocs = table[table["attack"] == attack].pivot(index="layer", columns="epoch", values="auroc")
    values = aurocs.to_numpy(dtype=float)  # (layers, epochs)
    contrast = max(LEAST_CONTRAST, float(np.abs(values - 0.5).max()))
    width, height = 1.3 + 0.36 * max(5, values.shape[1]), 0.75 + 0.26 * max(3, values.shape[0])
    figure, axes = panel(width, height, left=0.46, bottom=0.42, top=0.24)
    image = axes.imshow(values, "RdBu_r", aspect="auto", origin="lower", vmin=0.5 - contrast, vmax=0.5 + contrast)
    for axis, names in ((axes.xaxis, aurocs.columns), (axes.yaxis, aurocs.index)):
        step = -(-len(names) // 16)
        axis.set_ticks(range(0, len(names), step), [str(name) for name in names[::step]])
    if values.size <= 150:
        _write_values(axes, values, contrast)
    axes.set_xlabel("epoch")
    axes.set_ylabel("layer")
    axes.set_title(f"AUROC of {attack.replace('_', ' ')}", fontsize=7.5, color=INK, loc="left")
    bar = figure.colorbar(image, ax=axes, fraction=0.08, pad=0.03)
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_visible(False)
    return figure


def _write_values(axes: object, values: np.ndarray, contrast: float) -> None:
    for (layer, epoch), value in np.ndenumerate(values):
        colour = "white" if abs(value - 0.5) > 0.7 * contrast else INK
        axes.text(epoch, layer, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=6, color=colour)  # type: ignore[attr-defined]


def draw_maps(trainer: L.Trainer, table: pd.DataFrame) -> None:
    """Draw the maps to TensorBoard, and to files beside the table: `leakage_by_layer_ATTACK.png`."""
    for attack in attacks_by_layer(table):
        figure = layer_map(table, attack)
        with atomic_path(Path(trainer.default_root_dir) / f"leakage_by_layer_{attack}.png") as temporary:
            figure.savefig(temporary, format="png")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"leakage/by_layer/{attack}", figure, trainer.global_step)
