"""Records of a monitored training: leakage.csv, TensorBoard figures, layer maps."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import pandas as pd
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_mia.audit.monitor.leakage import ChallengeSet, Leakage
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.report.figures.attacks import MAX_CURVES, Curve, histogram_figure, log_roc_figure, roc_figure
from lightning_mia.report.figures.style import INK, panel
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError, first_line
from lightning_mia.utilities.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

TABLE = "leakage.csv"
COLUMNS = ("epoch", "step", "attack", "layer", "auroc", "lo", "hi", "gap")
COMPARED = ("/auroc", "/gap", "/pretext_loss")  # suffixes of the metrics by which TensorBoard compares training runs
MIN_CONTRAST = 0.1  # smallest AUROC range of the colours on either side of chance; with less, noise looks like leakage
MAX_VALUES = 150  # maximum number of cells of a map with printed values
MAX_TICKS = 16


def write_table(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `leakage.csv` atomically.

    Raises:
        InputError: the folder is not writable.
    """
    with atomic_path(folder / TABLE) as temporary:
        as_table(rows).to_csv(temporary, index=False)


def as_table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Convert rows to the data frame of `leakage.csv`."""
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"layer": "Int64"})


def read_table(path: Path) -> pd.DataFrame:
    """Read a file written by `write_table`.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        table = pd.read_csv(path).astype({"attack": str, "layer": "Int64"})
        return table[list(COLUMNS)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a leakage table ({first_line(error)}); restore it, or train again to write it"
        ) from error


def scalars(leakages: Sequence[Leakage], signals: Signals, challenge: ChallengeSet) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of every metric of a measurement.

    For each attack `leakage/ATTACK/auroc` and so on; and `held_out/pretext_loss`, the mean loss (negative log-odds) of
    the non-members, which shows the cost of a defence.
    """
    for leakage in leakages:
        low, high = leakage.interval
        yield f"leakage/{leakage.name}/auroc", leakage.auroc
        yield f"leakage/{leakage.name}/auroc_ci95_low", low
        yield f"leakage/{leakage.name}/auroc_ci95_high", high
        yield f"leakage/{leakage.name}/gap", leakage.gap
        yield f"leakage/{leakage.name}/members_mean", leakage.members_mean
        yield f"leakage/{leakage.name}/others_mean", leakage.nonmembers_mean
    if signals.has(PRETEXT_SCORE):
        table = challenge.table
        yield "held_out/pretext_loss", -float(signals.pretext_score().loc[table["id"][~table["member"]]].mean())


def draw_measurement(writer: "SummaryWriter", leakages: Sequence[Leakage], step: int) -> None:
    """Draw ROC curves and score histograms to TensorBoard."""
    curves = [Curve(leakage.name, leakage.scores) for leakage in leakages[:MAX_CURVES]]
    writer.add_figure("leakage/roc", roc_figure(curves, None), step)
    writer.add_figure("leakage/roc_log", log_roc_figure(curves, None), step)
    for leakage in leakages:
        members = leakage.scores.members
        writer.add_figure(f"leakage/{leakage.name}/scores", histogram_figure(leakage.scores), step)
        writer.add_histogram(f"leakage/{leakage.name}/members", leakage.scores.values[members], step)
        writer.add_histogram(f"leakage/{leakage.name}/others", leakage.scores.values[~members], step)


def draw_maps(trainer: L.Trainer, table: pd.DataFrame) -> None:
    """Draw layer maps to TensorBoard and to `leakage_by_layer_ATTACK.png`."""
    for attack in attacks_by_layer(table):
        figure = layer_map(table, attack)
        with atomic_path(Path(trainer.default_root_dir) / f"leakage_by_layer_{attack}.png") as temporary:
            figure.savefig(temporary, format="png")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_figure(f"leakage/by_layer/{attack}", figure, trainer.global_step)


def attacks_by_layer(table: pd.DataFrame) -> list[str]:
    """List the attacks that were measured at several layers.

    Args:
        table: table with the columns of `leakage.csv`.
    """
    n_layers = table.groupby("attack", sort=False)["layer"].nunique()
    return [str(attack) for attack, n in n_layers.items() if n > 1]


def layer_map(table: pd.DataFrame, attack: str) -> "Figure":
    """Draw an attack's AUROC by layer and epoch.

    Layers are rows, with the input at the bottom. The colours diverge from chance, 0.5, since a two-sided attack may
    be below it.
    """
    aurocs = table[table["attack"] == attack].pivot(index="layer", columns="epoch", values="auroc")
    values = aurocs.to_numpy(dtype=float)  # (layers, epochs)
    contrast = max(MIN_CONTRAST, float(np.abs(values - 0.5).max()))
    width, height = 1.3 + 0.36 * max(5, values.shape[1]), 0.75 + 0.26 * max(3, values.shape[0])
    figure, axes = panel(width, height, left=0.46, bottom=0.42, top=0.24)
    image = axes.imshow(values, "RdBu_r", aspect="auto", origin="lower", vmin=0.5 - contrast, vmax=0.5 + contrast)
    for axis, names in ((axes.xaxis, aurocs.columns), (axes.yaxis, aurocs.index)):
        step = -(-len(names) // MAX_TICKS)
        axis.set_ticks(range(0, len(names), step), [str(name) for name in names[::step]])
    if values.size <= MAX_VALUES:
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
