"""How many shadow models it takes: a figure against the number of them, one line an attack, with 95 % intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import Interval
from lightning_mia.report.palette import DASHES, MUTED, SERIES
from lightning_mia.report.panel import legend_above, panel, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_OF_LEGEND = 0.12  # inches
DODGE = 0.07  # octaves between two attacks at the same number of shadow models, so that intervals stand apart


@dataclass(frozen=True)
class Line:
    """What to draw of one attack.

    Attributes:
        name: for the legend.
        place: which colour and dashes it has, from 0.
        sizes: numbers of shadow models, ascending.
        values: a fraction at each.
        intervals: around each; an end that is not known is None.
    """

    name: str
    place: int
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Reference:
    """A value that does not depend on shadow models, and its name for the legend."""

    name: str
    value: float


def shadow_figure(
    lines: Sequence[Line], chance: float, missed: Interval | None = None, without: Reference | None = None
) -> "Figure":
    """Draw the lines.

    Args:
        lines: the attacks, each at a place of its own.
        chance: value of an attack that knows nothing: a thin line.
        missed: values that the design would have missed: a grey band.
        without: the best attack without shadow models: a grey line.
    """
    n_names = len(lines) + (without is not None)
    top = 0.1 + LINE_OF_LEGEND * n_names
    figure, axes = panel(width=3.9, height=2.5 + top, left=0.4, bottom=0.4, top=top)
    if missed is not None:
        axes.axhspan(*missed, color=MUTED, alpha=0.13, linewidth=0)
    axes.axhline(chance, color=MUTED, linewidth=0.5)
    if without is not None:
        axes.axhline(without.value, color=MUTED, linewidth=1.1, dashes=(1, 1), label=without.name)
    for number, line in enumerate(lines):
        _draw(axes, line, DODGE * (number - (len(lines) - 1) / 2))
    _scale(axes, sorted({size for line in lines for size in line.sizes}))
    axes.set_xlabel("shadow models")
    legend_above(axes)
    return figure


def _draw(axes: "Axes", line: Line, octaves: float) -> None:
    colour, dashes = SERIES[line.place], DASHES[line.place]
    places = [size * 2**octaves for size in line.sizes]
    axes.plot(places, line.values, color=colour, linewidth=1.3, dashes=dashes, label=line.name)
    axes.plot(places, line.values, color=colour, linewidth=0, marker="o", markersize=3)
    for place, (lower, upper) in zip(places, line.intervals, strict=True):
        if lower is not None and upper is not None:
            axes.plot([place, place], [lower, upper], color=colour, linewidth=0.8)


def _scale(axes: "Axes", sizes: Sequence[int]) -> None:
    """An axis of octaves with a tick at every size."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    plain_numbers(axes)
