"""Cells of fewer epochs that are checkpoints of the longest run with which they share all else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning_mia.audit.ablation.grid import Cell, Plan, Setting
from lightning_mia.report.ablation.labels import label_text
from lightning_mia.utilities.errors import InputError

LENGTH, STOP, KEEP = "trainer.max_epochs", "trainer.stop_after_epochs", "trainer.keep_epochs"


@dataclass(frozen=True)
class Source:
    """Where the models of a cell come from.

    Attributes:
        longest: the cell whose checkpoint it is.
        epochs: the epoch of the checkpoint.
        of: epochs of the longest.
    """

    longest: Cell
    epochs: int
    of: int

    @property
    def label(self) -> str:
        """For the results table: "epoch 5 of 20"."""
        return f"epoch {self.epochs} of {self.of}"


@dataclass(frozen=True)
class LongerRuns:
    """Which cells share the training of a longer one; none, unless that is asked for.

    Attributes:
        sources: name of a shorter cell → where its models come from.
        kept: name of a longest cell → epochs of which it keeps a checkpoint.
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    kept: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def options(self, cell: Cell) -> dict[str, object]:
        """What changes in the options of a cell that is a checkpoint: it is set up like the longest."""
        source = self.sources.get(cell.name)
        return {**cell.options, LENGTH: source.of, STOP: source.epochs} if source else cell.options

    def arguments(self, cell: Cell) -> dict[str, object]:
        """Options beside these that do not change the models of a cell."""
        return {KEEP: list(self.kept[cell.name])} if cell.name in self.kept else {}


def longer_runs(plan: Plan, cells: Sequence[Cell]) -> LongerRuns:
    """Group cells that differ in nothing but the number of epochs.

    Args:
        plan: the grid.
        cells: all of them.

    Raises:
        InputError: no factor is over epochs, or one has what is no number of them.
    """
    if not plan.grid.share_longer_runs:
        return LongerRuns()
    factor = _factor_of_epochs(plan.settings)
    groups: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        others = {name: label_text(setting.label) for name, setting in cell.settings.items() if name != factor}
        groups.setdefault(str((cell.seed, others)), {})[cell.settings[factor].options[LENGTH]] = cell
    sources: dict[str, Source] = {}
    kept: dict[str, Sequence[int]] = {}
    for group in groups.values():
        longest = max(group)
        shorter = sorted(group.keys() - {longest})
        sources |= {group[epochs].name: Source(group[longest], epochs, longest) for epochs in shorter}
        kept |= {group[longest].name: shorter} if shorter else {}
    return LongerRuns(sources, kept)


def _factor_of_epochs(factors: Mapping[str, Sequence[Setting]]) -> str:
    """The factor whose values set the number of epochs, and nothing else."""
    found = [name for name, settings in factors.items() if all(set(one.options) == {LENGTH} for one in settings)]
    if not found:
        raise InputError(
            f"share_longer_runs takes a factor whose values set {LENGTH} and nothing else, but the factors are "
            f"{', '.join(factors)}; add one, or leave share_longer_runs out"
        )
    for setting in factors[found[0]]:
        epochs = setting.options[LENGTH]
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise InputError(
                f"share_longer_runs takes numbers of epochs, 1 or more, but factor {found[0]} has {epochs!r}; change "
                "the value, or leave share_longer_runs out"
            )
    return found[0]
