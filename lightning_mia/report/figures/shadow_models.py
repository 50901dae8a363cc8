"""AUROC and true positive rate by number of shadow models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import (
    AttackResult,
    ExposureGroup,
    Interval,
    SubsetResult,
    has_interval,
    headline_rate,
)
from lightning_mia.report.content.groups import MAX_FEATURED, Group
from lightning_mia.report.content.numbers import percent
from lightning_mia.report.figures.attacks import MAX_CURVES
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.style import DASHES, LEGEND_LINE, MUTED, SERIES, legend_above, panel, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DODGE = 0.07  # octaves between two attacks at the same number of shadow models, so that their intervals do not overlap

Metric = Callable[[AttackResult | SubsetResult | ExposureGroup], tuple[float, Interval] | None]  # and its interval


@dataclass(frozen=True)
class Line:
    """Values of one attack.

    Attributes:
        name: for the legend.
        series: index of its colour and dashes.
        sizes: numbers of shadow models, or other positive numbers, ascending.
        values: one per size, in [0, 1].
        intervals: one per size; without bounds or `NO_INTERVAL` if unknown.
    """

    name: str
    series: int
    sizes: tuple[int, ...]
    values: tuple[float, ...]
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class Reference:
    """Value and legend name of an attack without shadow models."""

    name: str
    value: float


def draw_by_shadows(group: Group) -> tuple[Drawing, ...]:
    """Draw AUROC and TPR by number of shadow models.

    Featured attacks come first.
    """
    featured = [result for result in group.featured if len(result.with_fewer) > 1][:MAX_CURVES]
    others = [result for result in group.others if len(result.with_fewer) > 1]
    results = [*featured, *others[: max(0, MAX_FEATURED - len(featured))]]
    if not results:
        return ()
    drawings = [_draw(group, results, "AUROC", "auroc", auroc_of, 0.5)]
    rate = headline_rate(results[0].tpr_at_fpr)
    if rate is not None:
        drawings.append(_draw(group, results, f"TPR at FPR {percent(rate.fpr)}", "tpr", tpr_of, rate.fpr))
    return tuple(drawings)


def sizes_of(group: Group) -> list[int]:
    """Return the numbers of shadow models tested, ascending."""
    return sorted({point.n_shadows for result in group.results for point in result.with_fewer})


def shadow_figure(
    lines: Sequence[Line],
    chance: float,
    undetectable: Interval | None = None,
    reference: Reference | None = None,
    sizes_name: str = "shadow models",
) -> "Figure":
    """Draw values against the number of shadow models.

    Args:
        lines: one per attack, each of a different series.
        chance: value of random guessing: a thin line.
        undetectable: AUROCs detected with less than 80 % power: a grey band.
        reference: the best attack without shadow models: a grey line.
        sizes_name: what the sizes of the lines count.
    """
    n_names = len(lines) + (reference is not None)
    top = 0.1 + LEGEND_LINE * n_names
    figure, axes = panel(width=3.9, height=2.5 + top, left=0.4, bottom=0.4, top=top)
    if undetectable is not None:
        axes.axhspan(*undetectable, color=MUTED, alpha=0.13, linewidth=0)
    axes.axhline(chance, color=MUTED, linewidth=0.5)
    if reference is not None:
        axes.axhline(reference.value, color=MUTED, linewidth=1.1, dashes=(1, 1), label=reference.name)
    for number, line in enumerate(lines):
        _draw_line(axes, line, DODGE * (number - (len(lines) - 1) / 2))
    _set_scale(axes, sorted({size for line in lines for size in line.sizes}))
    axes.set_xlabel(sizes_name)
    legend_above(axes)
    return figure


def _draw_line(axes: "Axes", line: Line, octaves: float) -> None:
    colour, dashes = SERIES[line.series], DASHES[line.series]
    positions = [size * 2**octaves for size in line.sizes]
    axes.plot(positions, line.values, color=colour, linewidth=1.3, dashes=dashes, label=line.name)
    axes.plot(positions, line.values, color=colour, linewidth=0, marker="o", markersize=3)
    for position, bounds in zip(positions, line.intervals, strict=True):
        if has_interval(bounds):
            axes.plot([position, position], bounds, color=colour, linewidth=0.8)


def _set_scale(axes: "Axes", sizes: Sequence[int]) -> None:
    """Set a base-2 log axis with ticks at all sizes."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] / 1.3, sizes[-1] * 1.3)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    plain_numbers(axes)


def auroc_of(result: AttackResult | SubsetResult | ExposureGroup) -> tuple[float, Interval] | None:
    """Return the AUROC and its interval."""
    return result.auroc, result.auroc_ci95


def tpr_of(result: AttackResult | SubsetResult | ExposureGroup) -> tuple[float, Interval] | None:
    """Return the headline TPR and its interval; None without rates."""
    rate = headline_rate(result.tpr_at_fpr)
    return None if rate is None else (rate.tpr, rate.tpr_ci95)


def _draw(
    group: Group, results: Sequence[AttackResult], caption: str, tag: str, metric: Metric, chance: float
) -> Drawing:
    lines = [_line(result, series, metric) for result, series in zip(results, _series(group, results), strict=True)]
    values = "; ".join(
        f"{line.name} "
        + ", ".join(f"{value:.2f} with {size}" for size, value in zip(line.sizes, line.values, strict=True))
        for line in lines
    )
    undetectable = _undetectable(group, results) if tag == "auroc" else None
    return Drawing(
        tag=f"shadow_models/{tag}/{group.path}",
        caption=caption,
        label=f"{caption} by number of shadow models, {group.family}: {values}",
        figure=shadow_figure(lines, chance, undetectable, _reference(group, metric)),
    )


def _series(group: Group, results: Sequence[AttackResult]) -> list[int]:
    """Assign colours; featured attacks keep those of the ROC figures."""
    taken = [group.series(result) for result in results]
    free = iter([series for series in range(MAX_CURVES) if series not in taken])
    return [next(free) if series is None else series for series in taken]


def _line(result: AttackResult, series: int, metric: Metric) -> Line:
    points = [(point.n_shadows, value) for point in result.with_fewer if (value := metric(point)) is not None]
    return Line(
        result.name,
        series,
        tuple(size for size, _ in points),
        tuple(value for _, (value, _) in points),
        tuple(interval for _, (_, interval) in points),
    )


def _best_without_shadows(group: Group) -> AttackResult | None:
    return next((result for result in group.results if not result.n_shadows), None)


def _reference(group: Group, metric: Metric) -> Reference | None:
    best = _best_without_shadows(group)
    value = metric(best) if best else None
    return None if best is None or value is None else Reference(f"{best.name}, no shadow models", value[0])


def _undetectable(group: Group, results: Sequence[AttackResult]) -> Interval | None:
    """Return the AUROCs detected with less than 80 % power."""
    if group.detectable is None:
        return None
    drawn = [*results, *([best] if (best := _best_without_shadows(group)) else [])]
    return (1 - group.detectable if any(result.two_sided for result in drawn) else 0.5, group.detectable)
