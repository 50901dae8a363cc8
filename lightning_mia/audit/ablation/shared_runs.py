"""Cells that use checkpoints of a longer, otherwise identical cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning_mia.audit.ablation.grid import Cell, Plan, Setting
from lightning_mia.report.ablation.labels import label_text
from lightning_mia.utilities.errors import InputError

MAX_EPOCHS = "trainer.max_epochs"
STOP_AFTER_EPOCHS = "trainer.stop_after_epochs"
KEEP_EPOCHS = "trainer.keep_epochs"


@dataclass(frozen=True)
class Source:
    """Checkpoint of a longer cell that provides a cell's models.

    Attributes:
        longest: cell that was trained.
        epochs: epoch of the checkpoint.
        total_epochs: epochs of the longest cell.
    """

    longest: Cell
    epochs: int
    total_epochs: int

    @property
    def label(self) -> str:
        """Label in the results table: "epoch 5 of 20"."""
        return f"epoch {self.epochs} of {self.total_epochs}"


@dataclass(frozen=True)
class SharedRuns:
    """Cells that use checkpoints of longer ones.

    Attributes:
        sources: name of a shorter cell → source of its models.
        kept: name of a longest cell → epochs whose checkpoints it keeps.
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    kept: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def options(self, cell: Cell) -> dict[str, object]:
        """Return the options of a cell."""
        source = self.sources.get(cell.name)
        if source is None:
            return cell.options
        return {**cell.options, MAX_EPOCHS: source.total_epochs, STOP_AFTER_EPOCHS: source.epochs}

    def extra_options(self, cell: Cell) -> dict[str, object]:
        """Return options that do not change a cell's models."""
        return {KEEP_EPOCHS: list(self.kept[cell.name])} if cell.name in self.kept else {}


def find_shared_runs(plan: Plan, cells: Sequence[Cell]) -> SharedRuns:
    """Group cells that differ only in the number of epochs.

    Args:
        plan: the grid.
        cells: all cells of the grid.

    Raises:
        InputError: no factor varies only the epochs, or a number of epochs is invalid.
    """
    if not plan.grid.share_longer_runs:
        return SharedRuns()
    factor = _epochs_factor(plan.settings)
    groups: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        others = {name: label_text(setting.label) for name, setting in cell.settings.items() if name != factor}
        groups.setdefault(str((cell.seed, others)), {})[cell.settings[factor].options[MAX_EPOCHS]] = cell
    sources: dict[str, Source] = {}
    kept: dict[str, Sequence[int]] = {}
    for group in groups.values():
        longest = max(group)
        shorter = sorted(group.keys() - {longest})
        sources |= {group[epochs].name: Source(group[longest], epochs, longest) for epochs in shorter}
        kept |= {group[longest].name: shorter} if shorter else {}
    return SharedRuns(sources, kept)


def _epochs_factor(factors: Mapping[str, Sequence[Setting]]) -> str:
    """Return the factor that sets only the number of epochs."""
    names = [
        name for name, settings in factors.items() if all(set(setting.options) == {MAX_EPOCHS} for setting in settings)
    ]
    if not names:
        raise InputError(
            f"share_longer_runs requires a factor whose values set {MAX_EPOCHS} and nothing else, but the factors are "
            f"{', '.join(factors)}; add one, or remove share_longer_runs"
        )
    for setting in factors[names[0]]:
        epochs = setting.options[MAX_EPOCHS]
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise InputError(
                f"share_longer_runs requires numbers of epochs from 1, but factor {names[0]} has {epochs!r}; change "
                "the value, or remove share_longer_runs"
            )
    return names[0]
