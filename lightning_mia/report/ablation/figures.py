"""Heat maps over two factors, and curves over one, in the colours of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.report.ablation.labels import Label, text_of
from lightning_mia.report.ablation.points import OverSeeds
from lightning_mia.report.content.numbers import decimal, interval
from lightning_mia.report.figures.style import DASHES, INK, MUTED, SERIES, legend_above, panel, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ABOVE, BELOW, USEFUL = SERIES[1], SERIES[0], SERIES[2]  # chance, and how well the model does its own task
STRONGEST = 0.75  # opacity, at which ink can still be read on the colour
LINE_OF_LEGEND = 0.13  # inches
LETTER = 0.065  # inches
WIDTH = 0.72  # of a field of a heat map (inches)


@dataclass(frozen=True)
class Axis:
    """One factor.

    Attributes:
        name: of the factor.
        labels: of its values, in the order of the grid file.
    """

    name: str
    labels: Sequence[Label]

    @property
    def is_numeric(self) -> bool:
        """Whether its values lie on a scale."""
        return all(isinstance(one, int | float) and not isinstance(one, bool) for one in self.labels)


@dataclass(frozen=True)
class Line:
    """One line of a figure of curves.

    Attributes:
        name: for the legend.
        values: label → figure over seeds.
        is_reference: of a control: grey, without intervals.
    """

    name: str
    values: Mapping[Label, OverSeeds]
    is_reference: bool = False


def heat_map(
    columns: Axis, rows: Axis, values: Mapping[tuple[Label, Label], OverSeeds], chance: float | None
) -> "Figure":
    """Means over seeds with their intervals, one field for each pair of values.

    Args:
        columns: the factor from left to right.
        rows: the factor from bottom to top.
        values: (column's label, row's label) → figure; what is missing stays empty.
        chance: the value without colour, such as 0.5 for an AUROC; None: the smallest value has none.
    """
    left = 0.34 + LETTER * max(len(text_of(label)) for label in rows.labels)
    longest = LETTER * max(len(text_of(label)) for label in columns.labels)
    turned = longest > WIDTH
    bottom = 0.42 + (longest if turned else 0)
    figure, axes = panel(left + WIDTH * len(columns.labels), 0.08 + bottom + 0.44 * len(rows.labels), left, bottom)
    means = [one.mean for one in values.values()]
    for (column, row), one in values.items():
        place = list(columns.labels).index(column), list(rows.labels).index(row)
        colour, opacity = _tint(one.mean, chance, min(means), max(means))
        _field(axes, place, one, colour, opacity, 3 if chance is not None else 2)
    for axis, set_ticks, set_limits in (
        (columns, axes.set_xticks, axes.set_xlim),
        (rows, axes.set_yticks, axes.set_ylim),
    ):
        set_ticks(range(len(axis.labels)), [text_of(label) for label in axis.labels])
        set_limits(-0.5, len(axis.labels) - 0.5)
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelrotation=90 if turned else 0)
    axes.set_xlabel(_words(columns.name))
    axes.set_ylabel(_words(rows.name))
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _tint(mean: float, chance: float | None, lowest: float, highest: float) -> tuple[str, float]:
    if chance is not None:
        return (ABOVE if mean > chance else BELOW), STRONGEST * min(1.0, abs(mean - chance) / max(chance, 1 - chance))
    return USEFUL, STRONGEST * (mean - lowest) / ((highest - lowest) or 1.0)


def _field(axes: "Axes", place: tuple[int, int], one: OverSeeds, colour: str, opacity: float, digits: int) -> None:
    from matplotlib.patches import Rectangle

    x, y = place
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=colour, alpha=opacity, linewidth=0))
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=MUTED, linewidth=0.3))
    axes.text(
        x, y + (0.13 if one.ci95 else 0), decimal(one.mean, digits), ha="center", va="center", size=7.5, color=INK
    )
    if one.ci95:
        ends = interval(one.ci95, 2)
        axes.text(x, y - 0.2, ends, ha="center", va="center", size=5.5, color=INK)


def curves(axis: Axis, lines: Sequence[Line], what: str, chance: float | None) -> "Figure":
    """A figure against one factor, one line a result, with intervals over seeds.

    Args:
        axis: the factor.
        lines: at most as many as there are colours, and references beside them.
        what: the figure, for the axis.
        chance: value of an attack that knows nothing: a thin line; None: there is none.
    """
    top = 0.1 + LINE_OF_LEGEND * len(lines)
    longest = max(len(text_of(label)) for label in axis.labels)
    turned = not axis.is_numeric and longest * LETTER * len(axis.labels) > 3.2
    figure, axes = panel(
        3.9, 2.4 + top + (LETTER * longest if turned else 0), 0.54, 0.42 + (LETTER * longest if turned else 0), top
    )
    if chance is not None:
        axes.axhline(chance, color=MUTED, linewidth=0.5)
    places = _scale(axes, axis, turned)
    drawn = [line for line in lines if not line.is_reference]
    for number, line in enumerate(drawn):
        _draw(axes, axis, places, line, number, _shift(axis, places, number - (len(drawn) - 1) / 2))
    for number, line in enumerate(line for line in lines if line.is_reference):
        known = [label for label in axis.labels if label in line.values]
        axes.plot(
            [places[label] for label in known],
            [line.values[label].mean for label in known],
            color=MUTED,
            linewidth=1.0,
            dashes=((1, 1), (4, 2))[number % 2],
            label=line.name,
        )
    axes.set_xlabel(_words(axis.name))
    axes.set_ylabel(what)
    plain_numbers(axes)
    legend_above(axes)
    return figure


def _scale(axes: "Axes", axis: Axis, turned: bool) -> dict[Label, float]:
    """Where the values stand: numbers on a scale (of octaves, where they are far apart), names side by side."""
    numbers = [float(label) for label in axis.labels] if axis.is_numeric else []
    places = dict(zip(axis.labels, numbers or map(float, range(len(axis.labels))), strict=True))
    lowest, highest = min(places.values()), max(places.values())
    margin = 0.07 * (highest - lowest) or 0.5
    if _is_logarithmic(axis):
        axes.set_xscale("log", base=2)
        axes.set_xlim(lowest / 1.25, highest * 1.25)
    else:
        axes.set_xlim(lowest - margin, highest + margin)
    axes.set_xticks(list(places.values()), [text_of(label) for label in places], rotation=90 if turned else 0)
    axes.set_xticks([], minor=True)
    return places


def _is_logarithmic(axis: Axis) -> bool:
    return axis.is_numeric and min(axis.labels) > 0 and max(axis.labels) >= 4 * min(axis.labels)  # type: ignore[operator]


def _shift(axis: Axis, places: Mapping[Label, float], step: float) -> "_Shift":
    """Moves a line a little aside, so that intervals at the same value stand apart."""
    if _is_logarithmic(axis):
        return _Shift(factor=2 ** (0.06 * step))
    span = max(places.values()) - min(places.values()) or 1.0
    return _Shift(by=0.012 * span * step)


@dataclass(frozen=True)
class _Shift:
    factor: float = 1.0
    by: float = 0.0

    def __call__(self, place: float) -> float:
        return place * self.factor + self.by


def _draw(axes: "Axes", axis: Axis, places: Mapping[Label, float], line: Line, number: int, shift: _Shift) -> None:
    colour, dashes = SERIES[number % len(SERIES)], DASHES[number % len(DASHES)]
    known = [label for label in axis.labels if label in line.values]
    at = [shift(places[label]) for label in known]
    means = [line.values[label].mean for label in known]
    if axis.is_numeric:
        axes.plot(at, means, color=colour, linewidth=1.3, dashes=dashes, marker="o", markersize=3, label=line.name)
    else:
        axes.plot(at, means, color=colour, linewidth=0, marker="o", markersize=4, label=line.name)
    for place, label in zip(at, known, strict=True):
        if ends := line.values[label].ci95:
            axes.plot([place, place], ends, color=colour, linewidth=0.9)


def trade_off(points: Mapping[str, tuple[OverSeeds, OverSeeds]], across: str, up: str) -> "Figure":
    """What a choice costs against what it leaks, one mark a choice, with intervals over seeds.

    Args:
        points: name → (what stands across, what stands up).
        across: what the first is.
        up: what the second is.
    """
    top = 0.1 + LINE_OF_LEGEND * len(points)
    figure, axes = panel(3.9, 2.6 + top, 0.54, 0.42, top)
    axes.axhline(0.5, color=MUTED, linewidth=0.5)
    for number, (name, (x, y)) in enumerate(points.items()):
        colour, marker = SERIES[number % len(SERIES)], "osD^vPX*"[number % 8]
        axes.plot([x.mean], [y.mean], color=colour, linewidth=0, marker=marker, markersize=4.5, label=name)
        if x.ci95 and y.ci95:
            axes.plot(x.ci95, [y.mean, y.mean], color=colour, linewidth=0.7)
            axes.plot([x.mean, x.mean], y.ci95, color=colour, linewidth=0.7)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=6.5, labelcolor=INK, frameon=False, borderaxespad=0.2
    )
    return figure


def _words(name: str) -> str:
    return name.replace("_", " ")
