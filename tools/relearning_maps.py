"""Measure when relearning finds members: by its settings, the candidates, the size and the training of the target.

OMP_NUM_THREADS=1 python tools/relearning_maps.py MANIFEST.csv --family tera --maps rate copies --targets 2 --run_dir R
python tools/relearning_maps.py --plot docs/figures --run_dir R

The first command adds rows to R/maps.csv, and skips those that are there: one per family, map, values and target. The
targets are those of `tools/relearning.py`, without shadow models. The second draws one figure per map.

- rate: learning rate, as a multiple of the training's, and epochs of further training
- copies: copies whose scores are averaged
- masks: masks over which scores are averaged
- share: share of members among 200 candidates
- candidates: number of candidates, half of them members, of a target that was trained on 1,000; the training set is
  filled up with auxiliary recordings to 240. AUROC within groups of that size, averaged.
- size: parameters of the target
- training: epochs of the target's training, and with them the leak of its pretext loss
- elsewhere: 0: the learning rate of the training; 1: the one found as for a model trained elsewhere. No figure.
"""

import argparse
import csv
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from lightning_mia.attacks import Evidence, Relearn
from lightning_mia.audit.audit_run import AuditRun
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.evaluation.statistics.roc import highest_tpr
from lightning_mia.models import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.signals.base import Measure, Resources
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, Relearned, Relearning
from lightning_mia.signals.runner.loop import batches
from lightning_mia.signals.table import Signals, of_question
from lightning_mia.training.further_training import FurtherTraining
from tools.relearning import RECIPES, Recipe, open_audit

QUESTION = "candidates"
BATCH_SECONDS = 60.0
FPR = 0.01
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
EPOCHS = (1, 2, 3, 6)
COPIES = (1, 2, 4, 8)
MASKS = (2, 4, 8, 16)
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
SHARE_OF = 200  # candidates
NUMBERS = (20, 50, 100, 200, 400, 1000, 2000)
MAX_GROUPS = 4
SIZES = {64: 1.0, 192: 0.5, 512: 0.3}  # dimension of hidden states: epochs, as a multiple of the recipe's
TRAINING = (0.2, 0.4, 0.7, 1.0, 1.5, 2.5)  # epochs, as multiples of the recipe's
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
NAMES = {"tera": "TERA", "mel_hubert": "HuBERT", "hubert": "HuBERT, waveform", "wav2vec2": "wav2vec 2.0", "cpc": "CPC"}
LABELS = {
    "rate": "learning rate",
    "copies": "copies",
    "masks": "masks",
    "share": f"share of members among {SHARE_OF} candidates",
    "candidates": "candidates",
    "size": "parameters",
    "training": "AUROC of the pretext loss",
}
MAPS = (*LABELS, "elsewhere")
MEASURED = ("loss", "relearn", "tpr", "seconds", "learning_rate")
FIELDS = ("family", "map", "value", "epochs", "target", "parameters", *MEASURED)


class Target:
    """A trained target.

    Args:
        run: run with its split.
        model: the target, or a control.
    """

    def __init__(self, run: AuditRun, model: SpeechModel) -> None:
        self.run, self.model = run, model

    @cached_property
    def challenge(self) -> pd.DataFrame:
        """Candidates, with their membership."""
        return self.run.split.challenge("utterance", "trained")

    @property
    def members(self) -> pd.Series:
        """Whether each candidate is a member, index = id."""
        return self.challenge.set_index("id")["member"].astype(bool)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def measure(self, settings: Relearning, ids: Sequence[str]) -> tuple[float, ...]:
        """Return AUROC of the loss and of relearning, TPR at an FPR of at most 1 %, seconds and learning rate."""
        start = time.process_time()
        scores, learning_rate = self.relearn(settings, ids)
        seconds = time.process_time() - start
        members = self.members.loc[scores.index].to_numpy()
        aurocs = [labelled_aurocs(scores[name].to_numpy(), members[None])[0] for name in ("loss", "relearn")]
        return (*aurocs, highest_tpr(scores["relearn"].to_numpy(), members, FPR), seconds, learning_rate)

    def relearn(self, settings: Relearning, ids: Sequence[str]) -> tuple[pd.DataFrame, float]:
        """Relearn candidates; columns `loss` (before) and `relearn`, index = id; and the learning rate."""
        run = self.run
        with tempfile.TemporaryDirectory() as folder:
            recordings = run.data.training_recordings(run.split.training_ids(), 0)
            further = FurtherTraining(recordings, run.trainers, Path(folder))
            auxiliary = run.data.queries(run.split.auxiliary_ids())
            resources = Resources(auxiliary, BATCH_SECONDS, {QUESTION: list(ids)}, further)
            copies = Relearned.train(settings, self.model, resources)
            assert isinstance(copies, Relearned)
        signals = self._signals(settings, copies, ids)
        scores = Relearn(settings).score(Evidence(signals, self.challenge.loc[self.challenge["id"].isin(ids)]))
        before = signals.scalars[settings.columns[0]].loc[scores.index]
        return pd.DataFrame({"loss": before, "relearn": scores}), copies.learning_rate

    @torch.inference_mode()
    def _signals(self, settings: Relearning, copies: Measure, ids: Sequence[str]) -> Signals:
        rows = []
        for batch in batches(self.run.data.queries(list(ids)), BATCH_SECONDS, "cpu"):
            scalars = copies(self.model, batch).scalars
            columns = {column: scalars[of_question(column, QUESTION)].numpy() for column in settings.columns}
            rows.append(pd.DataFrame(columns, index=list(batch.ids)))
        return Signals(pd.concat(rows), np.zeros((len(ids), 1, 1)))

    def sample(self, n_members: int, n_nonmembers: int, seed: int = 0) -> list[str]:
        """Draw candidates."""
        generator = np.random.default_rng(seed)
        ids = [self.members.index[self.members == member].to_numpy() for member in (True, False)]
        drawn = [
            generator.choice(group, n, replace=False) for group, n in zip(ids, (n_members, n_nonmembers), strict=True)
        ]
        return sorted(np.concatenate(drawn).tolist())


@dataclass(frozen=True)
class Trial:
    """One point to measure.

    Attributes:
        recipe: training of the target.
        value: what varies.
        settings: the relearning.
        members, nonmembers: candidates of a group.
        groups: groups, each relearned by itself.
        n_units: candidates of the target's split.
        elsewhere: whether the model's training counts as unknown.
    """

    recipe: Recipe
    value: float
    settings: Relearning = DEFAULT_RELEARNING
    members: int = 200
    nonmembers: int = 200
    groups: int = 1
    n_units: int = 400
    elsewhere: bool = False


def trials(name: str, recipe: Recipe) -> list[Trial]:
    """List the points of a map.

    >>> [trial.value for trial in trials("copies", RECIPES["tera"])]
    [1, 2, 4, 8]
    """
    if name == "rate":
        return [Trial(recipe, rate, Relearning(rate=rate, epochs=epochs)) for epochs in EPOCHS for rate in RATES]
    if name == "copies":
        return [Trial(recipe, n, Relearning(n_copies=n)) for n in COPIES]
    if name == "masks":
        return [Trial(recipe, n, Relearning(n_masks=n)) for n in MASKS]
    if name == "share":
        counts = [round(share * SHARE_OF) for share in SHARES]
        return [Trial(recipe, n / SHARE_OF, members=n, nonmembers=SHARE_OF - n) for n in counts]
    if name == "candidates":
        halves = [n // 2 for n in NUMBERS]
        return [
            Trial(recipe, 2 * half, members=half, nonmembers=half, groups=min(MAX_GROUPS, 1000 // half), n_units=2000)
            for half in halves
        ]
    if name == "elsewhere":
        return [Trial(recipe, int(elsewhere), elsewhere=elsewhere) for elsewhere in (False, True)]
    if name == "size":
        return [Trial(resized(recipe, dim, epochs), dim) for dim, epochs in SIZES.items()]
    return [Trial(replace(recipe, epochs=round(recipe.epochs * factor)), factor) for factor in TRAINING]


def resized(recipe: Recipe, dim: int, epochs: float) -> Recipe:
    """Change the dimension of the hidden states, and the learning rate with its root."""
    arguments = constructor_arguments(recipe.model)
    rate = float(arguments["learning_rate"]) * (arguments["dim"] / dim) ** 0.5
    changes = {"dim": dim, "feedforward_dim": 4 * dim, "learning_rate": rate}
    known = {name: value for name, value in changes.items() if name in arguments}  # CPC has no feed-forward layers
    return replace(recipe, model=type(recipe.model)(**(arguments | known)), epochs=round(recipe.epochs * epochs))


def measure(options: argparse.Namespace, table: Path) -> None:
    """Measure all points that the table lacks."""
    recipe = RECIPES[options.family]
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    todo = [(name, seed, trial) for seed in options.seeds for name in options.maps for trial in trials(name, recipe)]
    done = read(table)
    for name, seed, trial in tqdm(todo, unit="point"):
        key = (options.family, name, trial.value, trial.settings.epochs, seed)
        if key in done:
            continue
        dim = constructor_arguments(trial.recipe.model).get("dim", "")
        folder = Path(options.run_dir) / f"{options.family}_{trial.recipe.epochs}_{dim}_{trial.n_units}_{seed}"
        run = open_audit(trial.recipe, [Relearn()], options.manifest, trial.n_units, seed, folder).run
        target = Target(run, run.fit_target().model)
        if trial.elsewhere:
            target.model.origin = {}  # as of a checkpoint that another package wrote
        groups = [target.sample(trial.members, trial.nonmembers, number) for number in range(trial.groups)]
        rows = [target.measure(trial.settings, ids) for ids in groups]
        add(table, key, target.parameters, np.mean(rows, axis=0))


def read(table: Path) -> set[tuple]:
    """Return family, map, value, epochs and target of the rows that are there."""
    if not table.exists():
        return set()
    return set(pd.read_csv(table)[list(FIELDS[:5])].itertuples(index=False, name=None))


def add(table: Path, key: tuple, parameters: int, figures: np.ndarray) -> None:
    """Append a row."""
    is_new = not table.exists()
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(FIELDS)
        writer.writerow([*key, parameters, *(f"{figure:.4g}" for figure in figures)])


def plot(table: Path, folder: Path) -> None:
    """Draw one figure per map."""
    rows = pd.read_csv(table)
    for name, group in rows[rows["map"].isin(LABELS)].groupby("map"):
        figure = draw_rates(group) if name == "rate" else draw_curves(str(name), group)
        figure.savefig(folder / f"relearning_{name}.png", dpi=110)


def draw_rates(rows: pd.DataFrame) -> Figure:
    """Draw mean AUROC by learning rate and epochs, one panel per family."""
    families = sorted(rows["family"].unique())
    figure = Figure(figsize=(3.4 * len(families), 3.0), layout="constrained")
    for axes, family in zip(np.atleast_1d(figure.subplots(1, len(families))), families, strict=True):
        of_family = rows[rows["family"] == family]
        cells = of_family.pivot_table(index="epochs", columns="value", values="relearn", aggfunc="mean")
        axes.imshow(cells.to_numpy(), cmap="viridis", aspect="auto", origin="lower")
        axes.set_xticks(range(cells.shape[1]), [f"{rate:g}" for rate in cells.columns])
        axes.set_yticks(range(cells.shape[0]), [str(epochs) for epochs in cells.index])
        middle = float(np.nanmean(cells.to_numpy()))
        for (row, column), auroc in np.ndenumerate(cells.to_numpy()):
            colour = "black" if auroc > middle else "white"
            axes.text(column, row, f"{auroc:.2f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set(
            title=f"{NAMES[family]}, loss {of_family['loss'].mean():.2f}",
            xlabel="learning rate × training's",
            ylabel="epochs",
        )
    return figure


def draw_curves(name: str, rows: pd.DataFrame) -> Figure:
    """Draw AUROC over what varies, mean and range over targets."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    x = {"training": "loss", "size": "parameters"}.get(name, "value")
    for family, group in rows.groupby("family"):
        colour = COLOURS[list(NAMES).index(str(family))]
        by_value = group.groupby("value")
        points = (
            by_value["relearn"].agg(["mean", "min", "max"]).assign(x=by_value[x].mean(), loss=by_value["loss"].mean())
        )
        points = points.sort_values("x")
        axes.plot(points["x"], points["mean"], "o-", color=colour, label=NAMES[str(family)], markersize=4)
        axes.fill_between(points["x"], points["min"], points["max"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(points["x"], points["loss"], ":", color=colour)
    if name in ("copies", "masks", "candidates", "size"):
        axes.set_xscale("log")
    if name in ("copies", "masks", "candidates"):
        values = sorted(rows["value"].unique())
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    axes.axhline(0.5, color="grey", linewidth=0.8)
    axes.plot([], [], ":", color="grey", label="pretext loss")
    axes.set(xlabel=LABELS[name], ylabel="AUROC", ylim=(0.45, 1.01))
    figure.legend(fontsize=7, loc="outside right upper")
    return figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", nargs="?", help="manifest of real recordings")
    parser.add_argument("--family", choices=RECIPES, default="tera")
    parser.add_argument("--epochs", type=int, help="epochs of the target's training, by default those of the family")
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=list(MAPS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2], help="one target each")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw the figures")
    parser.add_argument("--run_dir", default="runs/relearning_maps")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    table = Path(options.run_dir) / "maps.csv"
    if options.manifest:
        measure(options, table)
    if options.plot:
        plot(table, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
