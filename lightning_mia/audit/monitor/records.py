"""Leakage by layer and epoch, as a map."""

from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_mia.report.figures.style import INK, panel
from lightning_mia.utilities.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lightning_mia.audit.monitor.leakage import ChallengeSet, Leakage
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.report.figures.attacks import MAX_CURVES, Curve, histogram_figure, log_roc_figure, roc_figure
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


MIN_CONTRAST = 0.1  # AUROC either side of chance that the colours span at least, or noise would look like leakage


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
    contrast = max(MIN_CONTRAST, float(np.abs(values - 0.5).max()))
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


COMPARED = ("/auroc", "/gap", "/pretext_loss")
"""How the names of those figures end by which trainings are compared."""


def scalars(leakages: Sequence[Leakage], signals: Signals, challenge: ChallengeSet) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of every figure of a measurement.

    These are `leakage/pretext_loss/auroc` and so on of each attack, and `held_out/pretext_loss`, the mean loss (as
    negative log-odds) of the recordings that are not trained on: what a defence costs.
    """
    for one in leakages:
        low, high = one.interval
        yield f"leakage/{one.name}/auroc", one.auroc
        yield f"leakage/{one.name}/auroc_ci95_low", low
        yield f"leakage/{one.name}/auroc_ci95_high", high
        yield f"leakage/{one.name}/gap", one.gap
        yield f"leakage/{one.name}/members_mean", one.members_mean
        yield f"leakage/{one.name}/others_mean", one.others_mean
    if signals.has(PRETEXT_SCORE):
        judged = challenge.judged
        yield "held_out/pretext_loss", -float(signals.pretext_score().loc[judged["id"][~judged["member"]]].mean())


def draw_measurement(writer: "SummaryWriter", leakages: Sequence[Leakage], step: int) -> None:
    """Write the ROC curves (both kinds of axes), and of each attack the scores as a figure and as histograms."""
    curves = [Curve(one.name, one.scores) for one in leakages[:MAX_CURVES]]
    writer.add_figure("leakage/roc", roc_figure(curves, None), step)
    writer.add_figure("leakage/roc_log", log_roc_figure(curves, None), step)
    for one in leakages:
        members = one.scores.members
        writer.add_figure(f"leakage/{one.name}/scores", histogram_figure(one.scores), step)
        writer.add_histogram(f"leakage/{one.name}/members", one.scores.values[members], step)
        writer.add_histogram(f"leakage/{one.name}/others", one.scores.values[~members], step)
