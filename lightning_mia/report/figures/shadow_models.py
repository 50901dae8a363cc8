"""The figures of AUROC and of the true positive rate against the number of shadow models, for one level and access."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import Interval
from lightning_mia.report.figures.style import DASHES, MUTED, SERIES, legend_above, panel, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

from collections.abc import Callable

from lightning_mia.evaluation.results import AttackResult, SubsetResult
from lightning_mia.report.content.groups import MAX_FEATURED, Group, headline_rate
from lightning_mia.report.content.numbers import percent
from lightning_mia.report.figures.attacks import MAX_CURVES
from lightning_mia.report.figures.drawing import Drawing

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
        _draw_curves(axes, line, DODGE * (number - (len(lines) - 1) / 2))
    _scale(axes, sorted({size for line in lines for size in line.sizes}))
    axes.set_xlabel("shadow models")
    legend_above(axes)
    return figure


def _draw_curves(axes: "Axes", line: Line, octaves: float) -> None:
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


Read = Callable[[AttackResult | SubsetResult], tuple[float, Interval] | None]  # a figure and its interval


def draw_by_shadows(group: Group) -> tuple[Drawing, ...]:
    """Draw the featured attacks of a group that use shadow models, and others where these are few."""
    featured = [result for result in group.featured if len(result.with_fewer) > 1][:MAX_CURVES]
    others = [result for result in group.others if len(result.with_fewer) > 1]
    using = [*featured, *others[: max(0, MAX_FEATURED - len(featured))]]
    if not using:
        return ()
    drawings = [_draw(group, using, "AUROC", "auroc", _auroc, 0.5)]
    rate = headline_rate(using[0].tpr_at_fpr)
    if rate is not None:
        drawings.append(_draw(group, using, f"TPR at FPR {percent(rate.fpr)}", "tpr", _tpr, rate.fpr))
    return tuple(drawings)


def sizes_of(group: Group) -> list[int]:
    """The numbers of shadow models that attacks of the group were tried with, ascending."""
    return sorted({one.n_shadows for result in group.results for one in result.with_fewer})


def _auroc(result: AttackResult | SubsetResult) -> tuple[float, Interval] | None:
    return result.auroc, result.auroc_ci95


def _tpr(result: AttackResult | SubsetResult) -> tuple[float, Interval] | None:
    rate = headline_rate(result.tpr_at_fpr)
    return None if rate is None else (rate.tpr, rate.tpr_ci95)


def _draw(group: Group, results: Sequence[AttackResult], what: str, tag: str, read: Read, chance: float) -> Drawing:
    lines = [_line(result, place, read) for result, place in zip(results, _places(group, results), strict=True)]
    told = "; ".join(
        f"{line.name} "
        + ", ".join(f"{value:.2f} with {size}" for size, value in zip(line.sizes, line.values, strict=True))
        for line in lines
    )
    return Drawing(
        tag=f"shadow_models/{tag}/{group.level}/{group.access}",
        caption=what,
        label=f"{what} by number of shadow models, {group.level} level, {group.access}: {told}",
        figure=shadow_figure(lines, chance, _missed(group, results) if tag == "auroc" else None, _without(group, read)),
    )


def _places(group: Group, results: Sequence[AttackResult]) -> list[int]:
    """Featured attacks keep the colours that they have in the ROC figures; the others take what is left."""
    taken = [group.place(result) for result in results]
    free = iter([place for place in range(MAX_CURVES) if place not in taken])
    return [next(free) if place is None else place for place in taken]


def _line(result: AttackResult, place: int, read: Read) -> Line:
    found = [(one.n_shadows, figure) for one in result.with_fewer if (figure := read(one)) is not None]
    return Line(
        result.name,
        place,
        tuple(size for size, _ in found),
        tuple(value for _, (value, _) in found),
        tuple(interval for _, (_, interval) in found),
    )


def _unaided(group: Group) -> AttackResult | None:
    """The strongest attack of the group that uses no shadow models."""
    return next((result for result in group.results if not result.n_shadows), None)


def _without(group: Group, read: Read) -> Reference | None:
    best = _unaided(group)
    figure = read(best) if best else None
    return None if best is None or figure is None else Reference(f"{best.name}, no shadow models", figure[0])


def _missed(group: Group, results: Sequence[AttackResult]) -> Interval | None:
    """AUROCs that the design would have missed; below .5 as well where one of the attacks drawn is two-sided."""
    if group.detectable is None:
        return None
    drawn = [*results, *([best] if (best := _unaided(group)) else [])]
    return (1 - group.detectable if any(result.two_sided for result in drawn) else 0.5, group.detectable)
