"""What a grid file says: factors, their values, seeds; and the cells that follow from it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from lightning_mia.report.ablation.labels import COST_COLUMNS, Label, label_text
from lightning_mia.utilities.errors import InputError

MAX_CELLS = 500
"""Cells that a grid may have without a word of its own."""


OF_THE_TABLE = (
    *("seed", "attack", "role", "level", "access", "auroc", "auroc_lo", "auroc_hi", "p_value", "p_value_corrected"),
    *("advantage", "n_members", "n_nonmembers", "n_speakers", "n_shadows"),
    *("heldout_pretext", *COST_COLUMNS, "train_loss", "seconds", "verdict", "cell", "trained_as"),
)
"""Columns of the results table; no factor may have such a name."""

OF_THE_SEED = ("seed_everything", "data.split_seed")
"""Options that each seed of a grid sets, so that intervals cover the draw of the members as well."""


@dataclass(frozen=True)
class Factor:
    """One thing that is varied.

    Args:
        values: a list of values, or label: value. Without `option`, label: {dotted option: value, …}, where several
            options change together.
        option: dotted option of an audit, such as trainer.max_epochs.
    """

    values: list[Any] | dict[str, Any]
    option: str | None = None


@dataclass(frozen=True)
class Grid:
    """A grid of audits: every combination of the factors' values, or the points that are listed; each with every seed.

    Args:
        base: config of the audit that every cell starts from; a path from the grid file, from here, or of a config
            that ships with the package.
        factors: name: what is varied.
        points: cells that are wanted, instead of every combination; each names one value (or label) of every factor.
        options: dotted option: value, for all cells but those whose value of a factor sets the option otherwise; what
            follows on the command line comes after them.
        seeds: how many seeds, from 0, or a list of them. A seed is that of the training and that of the split.
        share_longer_runs: cells that differ only in a factor over trainer.max_epochs take all their models from
            checkpoints of the longest run among them, and are labelled so: their learning rates are those of its
            length, not of their own.
    """

    base: str
    factors: dict[str, Factor]
    points: list[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    seeds: int | list[int] = 3
    share_longer_runs: bool = False


@dataclass(frozen=True)
class Setting:
    """One value of a factor.

    Attributes:
        label: how it is called in tables, figures and names of folders.
        options: dotted option → value.
    """

    label: Label
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One audit of a grid.

    Attributes:
        settings: factor → its value here.
        seed: of the training and of the split.
    """

    settings: Mapping[str, Setting]
    seed: int

    @property
    def name(self) -> str:
        """Readable, and the same whatever else is in the grid: "size=100,epochs=50/seed=1"."""
        point = ",".join(f"{factor}={label_text(setting.label)}" for factor, setting in self.settings.items())
        return f"{point}/seed={self.seed}"

    @property
    def options(self) -> dict[str, Any]:
        """Everything in which this audit differs from the base."""
        varied = {option: value for setting in self.settings.values() for option, value in setting.options.items()}
        return {**varied, **dict.fromkeys(OF_THE_SEED, self.seed)}


@dataclass(frozen=True)
class Plan:
    """A grid that was checked, as far as that can be done without knowing the options of an audit.

    Attributes:
        grid: as it was asked for.
        settings: factor → its values.
        seeds: as a list.
    """

    grid: Grid
    settings: Mapping[str, Sequence[Setting]] = field(init=False)
    seeds: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        """Check names, labels, points and seeds.

        Raises:
            InputError: what cannot be a grid.
        """
        if not self.grid.factors:
            raise InputError("The grid has no factors: name at least one thing to vary")
        settings = {name: _settings(name, factor) for name, factor in self.grid.factors.items()}
        _check_options(settings)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "seeds", _seeds(self.grid.seeds))

    def cells(self) -> list[Cell]:
        """All cells, one seed after the other, so that the whole grid is there early with few seeds.

        Raises:
            InputError: a point names a factor, or a value, that is not there.
        """
        points = list(self._points())
        return [Cell(point, seed) for seed in self.seeds for point in points]

    def check_size(self, yes: bool) -> None:
        """Refuse a grid that is too large to be meant.

        Raises:
            InputError: it is, and nobody said yes.
        """
        n_points = sum(1 for _ in self._points()) if self.grid.points else _product(map(len, self.settings.values()))
        n_cells = n_points * len(self.seeds)
        if n_cells > MAX_CELLS and not yes:
            shape = " × ".join(str(len(settings)) for settings in self.settings.values())
            what = f"{n_points} points" if self.grid.points else shape
            raise InputError(
                f"The grid has {n_cells} cells ({what} × {len(self.seeds)} seeds), an audit each; if that is meant, "
                "give --yes"
            )

    def _points(self) -> Iterator[dict[str, Setting]]:
        if self.grid.points is None:
            for combination in product(*self.settings.values()):
                yield dict(zip(self.settings, combination, strict=True))
            return
        if not self.grid.points:
            raise InputError("points is empty: list cells, or leave it out for every combination")
        seen = []
        for number, point in enumerate(self.grid.points, start=1):
            found = self._point(f"Point {number}", point)
            if found in seen:
                raise InputError(f"Point {number} is listed twice: {point}")
            seen.append(found)
            yield found

    def _point(self, where: str, point: Mapping[str, Any]) -> dict[str, Setting]:
        if point.keys() != self.settings.keys():
            raise InputError(f"{where} has {', '.join(point)}, but the factors are {', '.join(self.settings)}")
        found = {}
        for name, settings in self.settings.items():
            chosen = [setting for setting in settings if label_text(setting.label) == label_text(point[name])]
            if not chosen:
                known = ", ".join(label_text(setting.label) for setting in settings)
                raise InputError(f"{where}: {name} has no value {point[name]!r}, only {known}")
            found[name] = chosen[0]
        return found


def _product(counts: Iterator[int]) -> int:
    total = 1
    for count in counts:
        total *= count
    return total


def _seeds(seeds: int | list[int]) -> list[int]:
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not listed or min(listed) < 0 or len(set(listed)) < len(listed):
        raise InputError(f"seeds is {seeds}: give how many, 1 or more, or a list of different seeds from 0")
    return listed


def _settings(name: str, factor: Factor) -> list[Setting]:
    """The values of one factor, each with its label.

    Raises:
        InputError: the factor cannot be used.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name in OF_THE_TABLE or name.startswith("tpr_at_"):
        raise InputError(
            f"A factor cannot be called {name!r}: give letters, digits and _, and none of the columns of results.csv"
        )
    if not factor.values:
        raise InputError(f"Factor {name} has no values")
    labelled = factor.values if isinstance(factor.values, dict) else {}
    pairs = list(labelled.items()) if labelled else [(value, value) for value in factor.values]
    settings = [Setting(_label(name, label), _options(name, factor.option, label, value)) for label, value in pairs]
    texts = [label_text(setting.label) for setting in settings]
    if twice := sorted({text for text in texts if texts.count(text) > 1}):
        raise InputError(f"Factor {name} has the value {twice[0]} twice")
    return settings


def _label(name: str, label: Any) -> Label:
    """A label that can be part of a folder's name; numbers stay numbers, so that figures have an axis for them."""
    if not isinstance(label, Label) or not re.fullmatch(r"[\w.+-]+", label_text(label)):
        raise InputError(
            f"Factor {name}: {label!r} cannot be part of a folder's name; write `label: value` instead, with a label "
            "of letters, digits and . + - _"
        )
    return number_of(label) if isinstance(label, str) else label


def number_of(text: str) -> Label:
    """A number where the text is one.

    >>> number_of("100"), number_of("0.5"), number_of("small"), number_of("nan")
    (100, 0.5, 'small', 'nan')
    """
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return text
    number = float(text) if "." in text else int(text)
    return number if str(number) == text else text


def _options(name: str, option: str | None, label: Any, value: Any) -> dict[str, Any]:
    if option is not None:
        return {option: value}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(
            f"Factor {name}, value {label}: without `option`, a value is a mapping of dotted options; got {value!r}"
        )
    return value


def _check_options(settings: Mapping[str, Sequence[Setting]]) -> None:
    """Refuse options that two factors set, or that are not theirs to set."""
    owner: dict[str, str] = {}
    for name, values in settings.items():
        for option in sorted({option for setting in values for option in setting.options}):
            if option in OF_THE_SEED:
                raise InputError(f"Factor {name} sets {option}, which `seeds` sets; list seeds there")
            if option in ("run_dir", "config"):
                raise InputError(f"Factor {name} sets {option}, which every cell has of its own")
            if owner.setdefault(option, name) != name:
                raise InputError(f"Factors {owner[option]} and {name} both set {option}")
