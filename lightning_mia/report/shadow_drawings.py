"""The figures of AUROC and of the true positive rate against the number of shadow models, for one level and access."""

from collections.abc import Callable, Sequence

from lightning_mia.evaluation.results import AttackResult, Interval, WithFewer
from lightning_mia.report.drawings import Drawing
from lightning_mia.report.figures import MOST_CURVES
from lightning_mia.report.groups import MOST_FEATURED, Group
from lightning_mia.report.headline_rate import headline_rate
from lightning_mia.report.number_format import percent
from lightning_mia.report.shadow_curves import Line, Reference, shadow_figure

Read = Callable[[AttackResult | WithFewer], tuple[float, Interval] | None]  # a figure and its interval


def draw_by_shadows(group: Group) -> tuple[Drawing, ...]:
    """Draw the featured attacks of a group that use shadow models, and others where these are few."""
    featured = [result for result in group.featured if len(result.with_fewer) > 1][:MOST_CURVES]
    others = [result for result in group.others if len(result.with_fewer) > 1]
    using = [*featured, *others[: max(0, MOST_FEATURED - len(featured))]]
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


def _auroc(result: AttackResult | WithFewer) -> tuple[float, Interval] | None:
    return result.auroc, result.auroc_ci95


def _tpr(result: AttackResult | WithFewer) -> tuple[float, Interval] | None:
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
    free = iter([place for place in range(MOST_CURVES) if place not in taken])
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
