"""Grid files: factors, their values, seeds, and the resulting cells."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated, Any

from lightning_mia.report.ablation.labels import COST_COLUMNS, Label, label_text
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Range, Seed, check_fields

MAX_CELLS = 500
"""Maximum number of cells that run without `--yes`."""

TABLE_COLUMNS = (
    *("seed", "attack", "role", "level", "access", "auroc", "auroc_lo", "auroc_hi", "p_value", "p_value_corrected"),
    *("advantage", "n_members", "n_nonmembers", "n_speakers", "n_shadows"),
    *("heldout_pretext", *COST_COLUMNS, "train_loss", "seconds", "verdict", "cell", "trained_as"),
)
"""Columns of `results.csv`; factors must have other names."""

SEED_OPTIONS = ("seed_everything", "data.split_seed")
"""Options that a seed of the grid sets, so that intervals also cover the draw of members."""


@dataclass(frozen=True)
class Factor:
    """One factor of a grid.

    Args:
        values: list of values, or label: value; without `option`, label: {dotted option: value, …}, which sets several
            options together.
        option: dotted option of an audit, such as trainer.max_epochs.

    Example:
        >>> epochs = Factor([10, 20], option="trainer.max_epochs")
        >>> defence = Factor({"none": {}, "dropout": {"model.dropout": 0.2}})
        >>> [cell.name for cell in Plan(Grid("tera.yaml", {"epochs": epochs, "defence": defence}, seeds=1)).cells()][:2]
        ['epochs=10,defence=none/seed=0', 'epochs=10,defence=dropout/seed=0']
    """

    values: list[Any] | dict[str, Any]
    option: str | None = None


@dataclass(frozen=True)
class Grid:
    """A grid of audits over one or more factors.

    Cells are all combinations of the factors' values, or the listed points, each with every seed.

    Args:
        base: base config of all cells: a path relative to the grid file or to the working directory, or a shipped
            config.
        factors: name: factor, one or more.
        points: list of points instead of all combinations; each has one value (or label) of every factor.
        options: dotted option: value, for all cells; values of factors and the command line take precedence.
        seeds: number of seeds, counted from 0, or list of seeds. Each is the seed of both training and split.
        share_longer_runs: cells that differ only in trainer.max_epochs use checkpoints of the longest run among them,
            with its learning-rate schedule, and are labelled accordingly.

    Example:
        >>> sizes = Factor({"small": {"data.design.n_units": 50}, "large": {"data.design.n_units": 100}})
        >>> Plan(Grid("tera.yaml", {"size": sizes}, seeds=[7])).cells()[0].options
        {'data.design.n_units': 50, 'seed_everything': 7, 'data.split_seed': 7}
    """

    base: str
    factors: dict[str, Factor]
    points: list[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    seeds: Annotated[int, Range(1, 10_000)] | list[Seed] = 3
    share_longer_runs: bool = False

    def __post_init__(self) -> None:
        """Validate the seeds."""
        check_fields(self)


@dataclass(frozen=True)
class Setting:
    """One value of a factor.

    Attributes:
        label: name of the value in tables, figures and folders.
        options: dotted option → value.
    """

    label: Label
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One audit of a grid.

    Attributes:
        settings: factor → its value.
        seed: seed of training and split.
    """

    settings: Mapping[str, Setting]
    seed: int

    @property
    def name(self) -> str:
        """Name such as "size=100,epochs=50/seed=1", independent of the other cells."""
        point = ",".join(f"{factor}={label_text(setting.label)}" for factor, setting in self.settings.items())
        return f"{point}/seed={self.seed}"

    @property
    def options(self) -> dict[str, Any]:
        """Options that differ from the base config."""
        varied = {option: value for setting in self.settings.values() for option, value in setting.options.items()}
        return {**varied, **dict.fromkeys(SEED_OPTIONS, self.seed)}


@dataclass(frozen=True)
class Plan:
    """A validated grid; `plan_tasks` checks its audit options.

    Attributes:
        grid: the grid.
        settings: factor → its values.
        seeds: all seeds.
    """

    grid: Grid
    settings: Mapping[str, Sequence[Setting]] = field(init=False)
    seeds: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        """Validate names, labels and seeds.

        Raises:
            InputError: one of them is invalid.
        """
        if not self.grid.factors:
            raise InputError("The grid has no factors; add at least one")
        settings = {name: _settings(name, factor) for name, factor in self.grid.factors.items()}
        _check_options(settings)
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "seeds", _seeds(self.grid.seeds))

    def cells(self) -> list[Cell]:
        """Return all cells, one seed after the other.

        Raises:
            InputError: a point has an unknown factor or value.
        """
        points = list(self._points())
        return [Cell(point, seed) for seed in self.seeds for point in points]

    def check_size(self, yes: bool) -> None:
        """Require confirmation of a large grid.

        Raises:
            InputError: it has more than `MAX_CELLS` cells, and `yes` is false.
        """
        n_points = sum(1 for _ in self._points()) if self.grid.points else math.prod(map(len, self.settings.values()))
        n_cells = n_points * len(self.seeds)
        if n_cells > MAX_CELLS and not yes:
            shape = " × ".join(str(len(settings)) for settings in self.settings.values())
            points = f"{n_points} points" if self.grid.points else shape
            raise InputError(
                f"The grid has {n_cells} cells ({points} × {len(self.seeds)} seeds), one audit each; confirm with --yes"
            )

    def _points(self) -> Iterator[dict[str, Setting]]:
        if self.grid.points is None:
            for combination in product(*self.settings.values()):
                yield dict(zip(self.settings, combination, strict=True))
            return
        if not self.grid.points:
            raise InputError("points is empty; list points, or omit it for all combinations")
        points: list[dict[str, Setting]] = []
        for number, point in enumerate(self.grid.points, start=1):
            settings = self._point(f"Point {number}", point)
            if settings in points:
                raise InputError(f"Point {number} is listed twice: {point}")
            points.append(settings)
            yield settings

    def _point(self, where: str, point: Mapping[str, Any]) -> dict[str, Setting]:
        if point.keys() != self.settings.keys():
            raise InputError(f"{where} has {', '.join(point)}, but the factors are {', '.join(self.settings)}")
        chosen = {}
        for name, settings in self.settings.items():
            matches = [setting for setting in settings if label_text(setting.label) == label_text(point[name])]
            if not matches:
                known = ", ".join(label_text(setting.label) for setting in settings)
                raise InputError(f"{where}: {name} has no value {point[name]!r}, only {known}")
            chosen[name] = matches[0]
        return chosen


def _seeds(seeds: int | list[int]) -> list[int]:
    listed = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not listed or min(listed) < 0 or len(set(listed)) < len(listed):
        raise InputError(f"seeds is {seeds}; give a number from 1, or a list of distinct seeds from 0")
    return listed


def _settings(name: str, factor: Factor) -> list[Setting]:
    """Return the labelled values of a factor.

    Raises:
        InputError: its name or values are invalid.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name in TABLE_COLUMNS or name.startswith("tpr_at_"):
        raise InputError(
            f"{name!r} is not a valid factor name; use letters, digits and _, but not a column name of results.csv"
        )
    if not factor.values:
        raise InputError(f"Factor {name} has no values; add some")
    labelled = factor.values if isinstance(factor.values, dict) else {}
    pairs = list(labelled.items()) if labelled else [(value, value) for value in factor.values]
    settings = [Setting(_label(name, label), _options(name, factor.option, label, value)) for label, value in pairs]
    texts = [label_text(setting.label) for setting in settings]
    if repeated := sorted({text for text in texts if texts.count(text) > 1}):
        raise InputError(f"Factor {name} has the value {repeated[0]} twice; remove one")
    return settings


def _label(name: str, label: Any) -> Label:
    """Validate a label; numbers stay numbers, for numeric axes."""
    if not isinstance(label, Label) or not re.fullmatch(r"[\w.+-]+", label_text(label)):
        raise InputError(
            f"Factor {name}: {label!r} cannot be part of a folder name; write `label: value` with a label of letters, "
            "digits and . + - _"
        )
    return to_number(label) if isinstance(label, str) else label


def to_number(text: str) -> Label:
    """Convert text to a number if it is one.

    >>> to_number("100"), to_number("0.5"), to_number("small"), to_number("nan")
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
            f"Factor {name}, value {label}: without `option`, give a mapping of dotted options; got {value!r}"
        )
    return value


def _check_options(settings: Mapping[str, Sequence[Setting]]) -> None:
    """Reject reserved options and options set by two factors."""
    owner: dict[str, str] = {}
    for name, values in settings.items():
        for option in sorted({option for setting in values for option in setting.options}):
            if option in SEED_OPTIONS:
                raise InputError(f"Factor {name} sets {option}, which `seeds` sets; list the seeds there")
            if option in ("run_dir", "config"):
                raise InputError(f"Factor {name} sets {option}, which is set for every cell; remove it")
            if owner.setdefault(option, name) != name:
                raise InputError(f"Factors {owner[option]} and {name} both set {option}; remove one")
