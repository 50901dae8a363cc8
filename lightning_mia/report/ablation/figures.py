"""Heat maps over two factors, curves over one, and trade-offs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.report.ablation.labels import Label, label_text
from lightning_mia.report.ablation.points import SeedMean
from lightning_mia.report.content.numbers import decimal, interval
from lightning_mia.report.figures.style import (
    DASHES,
    INK,
    LEGEND_LINE,
    MUTED,
    SERIES,
    legend_above,
    panel,
    plain_numbers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ABOVE_CHANCE, BELOW_CHANCE, UTILITY_COLOUR = SERIES[1], SERIES[0], SERIES[2]
MAX_OPACITY = 0.75  # keeps numbers legible
CHARACTER_WIDTH = 0.065  # inches
CELL_WIDTH = 0.72  # of a heat map (inches)


@dataclass(frozen=True)
class Axis:
    """One factor as an axis.

    Attributes:
        name: of the factor.
        labels: of its values, in the order of the grid file.
    """

    name: str
    labels: Sequence[Label]

    @property
    def is_numeric(self) -> bool:
        """Whether all values are numbers."""
        return all(isinstance(label, int | float) and not isinstance(label, bool) for label in self.labels)

    @property
    def is_logarithmic(self) -> bool:
        """Whether values are positive and span a factor of 4."""
        return self.is_numeric and min(self.labels) > 0 and max(self.labels) >= 4 * min(self.labels)  # type: ignore[operator]


@dataclass(frozen=True)
class Line:
    """One line of a figure of curves.

    Attributes:
        name: for the legend.
        values: label → mean over seeds.
        is_reference: of a control: grey, without intervals.
    """

    name: str
    values: Mapping[Label, SeedMean]
    is_reference: bool = False


def heat_map(
    columns: Axis, rows: Axis, values: Mapping[tuple[Label, Label], SeedMean], chance: float | None
) -> "Figure":
    """Draw means over seeds for pairs of values.

    Args:
        columns: the factor from left to right.
        rows: the factor from bottom to top.
        values: (column's label, row's label) → mean; missing pairs stay empty.
        chance: value without colour, such as 0.5 for an AUROC; None: the smallest value has no colour.
    """
    left = 0.34 + CHARACTER_WIDTH * max(len(label_text(label)) for label in rows.labels)
    longest = CHARACTER_WIDTH * max(len(label_text(label)) for label in columns.labels)
    rotated = longest > CELL_WIDTH
    bottom = 0.42 + (longest if rotated else 0)
    figure, axes = panel(left + CELL_WIDTH * len(columns.labels), 0.08 + bottom + 0.44 * len(rows.labels), left, bottom)
    means = [value.mean for value in values.values()]
    for (column, row), value in values.items():
        position = list(columns.labels).index(column), list(rows.labels).index(row)
        colour, opacity = _tint(value.mean, chance, min(means), max(means))
        _draw_cell(axes, position, value, colour, opacity, 3 if chance is not None else 2)
    for axis, set_ticks, set_limits in (
        (columns, axes.set_xticks, axes.set_xlim),
        (rows, axes.set_yticks, axes.set_ylim),
    ):
        set_ticks(range(len(axis.labels)), [label_text(label) for label in axis.labels])
        set_limits(-0.5, len(axis.labels) - 0.5)
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelrotation=90 if rotated else 0)
    axes.set_xlabel(_words(columns.name))
    axes.set_ylabel(_words(rows.name))
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def curves(axis: Axis, lines: Sequence[Line], y_label: str, chance: float | None) -> "Figure":
    """Draw lines against one factor, with intervals over seeds.

    Args:
        axis: the factor.
        lines: at most one per colour, and references.
        y_label: name of the values.
        chance: value of random guessing: a thin line; None: no line.
    """
    longest = CHARACTER_WIDTH * max(len(label_text(label)) for label in axis.labels)
    rotated = not axis.is_numeric and longest * len(axis.labels) > 3.2
    top, bottom = 0.1 + LEGEND_LINE * len(lines), 0.42 + (longest if rotated else 0)
    figure, axes = panel(3.9, 1.98 + bottom + top, 0.54, bottom, top)
    if chance is not None:
        axes.axhline(chance, color=MUTED, linewidth=0.5)
    positions = _set_scale(axes, axis, rotated)
    results = [line for line in lines if not line.is_reference]
    for number, line in enumerate(results):
        _draw_line(axes, axis, positions, line, number, _dodge(axis, number - (len(results) - 1) / 2))
    for number, line in enumerate(line for line in lines if line.is_reference):
        known = [label for label in axis.labels if label in line.values]
        axes.plot(
            [positions[label] for label in known],
            [line.values[label].mean for label in known],
            color=MUTED,
            linewidth=1.0,
            dashes=((1, 1), (4, 2))[number % 2],
            label=line.name,
        )
    axes.set_xlabel(_words(axis.name))
    axes.set_ylabel(y_label)
    plain_numbers(axes)
    legend_above(axes)
    return figure


def trade_off(points: Mapping[str, tuple[SeedMean, SeedMean]], x_label: str, y_label: str) -> "Figure":
    """Draw utility against leakage, one marker per value.

    Args:
        points: label of a value → (utility, leakage).
        x_label: name of the utility.
        y_label: name of the leakage.
    """
    top = 0.1 + LEGEND_LINE * len(points)
    figure, axes = panel(3.9, 2.6 + top, 0.54, 0.42, top)
    axes.axhline(0.5, color=MUTED, linewidth=0.5)
    for number, (name, (x, y)) in enumerate(points.items()):
        colour, marker = SERIES[number % len(SERIES)], "osD^vPX*"[number % 8]
        axes.plot([x.mean], [y.mean], color=colour, linewidth=0, marker=marker, markersize=4.5, label=name)
        if x.ci95 and y.ci95:
            axes.plot(x.ci95, [y.mean, y.mean], color=colour, linewidth=0.7)
            axes.plot([x.mean, x.mean], y.ci95, color=colour, linewidth=0.7)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    legend_above(axes)
    return figure


def _tint(mean: float, chance: float | None, lowest: float, highest: float) -> tuple[str, float]:
    if chance is not None:
        distance = abs(mean - chance) / max(chance, 1 - chance)
        return (ABOVE_CHANCE if mean > chance else BELOW_CHANCE), MAX_OPACITY * min(1.0, distance)
    return UTILITY_COLOUR, MAX_OPACITY * (mean - lowest) / ((highest - lowest) or 1.0)


def _draw_cell(
    axes: "Axes", position: tuple[int, int], value: SeedMean, colour: str, opacity: float, digits: int
) -> None:
    from matplotlib.patches import Rectangle

    x, y = position
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=colour, alpha=opacity, linewidth=0))
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=MUTED, linewidth=0.3))
    shift = 0.13 if value.ci95 else 0
    axes.text(x, y + shift, decimal(value.mean, digits), ha="center", va="center", size=7.5, color=INK)
    if value.ci95:
        axes.text(x, y - 0.2, interval(value.ci95, 2), ha="center", va="center", size=5.5, color=INK)


def _set_scale(axes: "Axes", axis: Axis, rotated: bool) -> dict[Label, float]:
    """Set limits and ticks; return the position of each label."""
    numbers = [float(label) for label in axis.labels] if axis.is_numeric else []
    positions = dict(zip(axis.labels, numbers or map(float, range(len(axis.labels))), strict=True))
    lowest, highest = min(positions.values()), max(positions.values())
    margin = 0.07 * (highest - lowest) or 0.5
    if axis.is_logarithmic:
        axes.set_xscale("log", base=2)
        axes.set_xlim(lowest / 1.25, highest * 1.25)
    else:
        axes.set_xlim(lowest - margin, highest + margin)
    axes.set_xticks(list(positions.values()), [label_text(label) for label in positions], rotation=90 if rotated else 0)
    axes.set_xticks([], minor=True)
    return positions


def _dodge(axis: Axis, step: float) -> Callable[[float], float]:
    """Return a slight shift that keeps intervals from overlapping."""
    if axis.is_logarithmic:
        return lambda position: position * 2 ** (0.06 * step)
    ends = [float(label) for label in axis.labels] if axis.is_numeric else [0.0, len(axis.labels) - 1.0]
    span = max(ends) - min(ends) or 1.0
    return lambda position: position + 0.012 * span * step


def _draw_line(
    axes: "Axes",
    axis: Axis,
    positions: Mapping[Label, float],
    line: Line,
    number: int,
    dodge: Callable[[float], float],
) -> None:
    colour, dashes = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
    known = [label for label in axis.labels if label in line.values]
    xs = [dodge(positions[label]) for label in known]
    means = [line.values[label].mean for label in known]
    if axis.is_numeric:
        axes.plot(xs, means, color=colour, linewidth=1.3, dashes=dashes, marker="o", markersize=3, label=line.name)
    else:
        axes.plot(xs, means, color=colour, linewidth=0, marker="o", markersize=4, label=line.name)
    for x, label in zip(xs, known, strict=True):
        if ends := line.values[label].ci95:
            axes.plot([x, x], ends, color=colour, linewidth=0.9)


def _words(name: str) -> str:
    return name.replace("_", " ")
