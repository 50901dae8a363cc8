"""AUROC and true positive rate by how often members are in an epoch."""

from lightning_mia.evaluation.results import headline_rate
from lightning_mia.report.content.groups import Group
from lightning_mia.report.content.numbers import percent
from lightning_mia.report.figures.attacks import MAX_CURVES
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.shadow_models import Line, Metric, auroc_of, shadow_figure, tpr_of


def draw_by_exposures(group: Group) -> tuple[Drawing, ...]:
    """Draw AUROC and TPR of the featured attacks by exposures."""
    results = [result for result in group.featured if len(result.by_exposures) > 1][:MAX_CURVES]
    if not results:
        return ()

    def draw(caption: str, tag: str, metric: Metric, chance: float) -> Drawing:
        lines = []
        for result in results:
            points = [(part.exposures, value) for part in result.by_exposures if (value := metric(part)) is not None]
            lines.append(
                Line(
                    result.name,
                    group.series(result) or 0,
                    tuple(times for times, _ in points),
                    tuple(value for _, (value, _) in points),
                    tuple(interval for _, (_, interval) in points),
                )
            )
        values = "; ".join(
            f"{line.name} "
            + ", ".join(f"{value:.2f} at {times}" for times, value in zip(line.sizes, line.values, strict=True))
            for line in lines
        )
        return Drawing(
            tag=f"exposures/{tag}/{group.path}",
            caption=caption,
            label=f"{caption} by exposures, {group.family}: {values}",
            figure=shadow_figure(lines, chance, sizes_name="times in an epoch"),
        )

    drawings = [draw("AUROC", "auroc", auroc_of, 0.5)]
    rate = headline_rate(results[0].tpr_at_fpr)
    if rate is not None:
        drawings.append(draw(f"TPR at FPR {percent(rate.fpr)}", "tpr", tpr_of, rate.fpr))
    return tuple(drawings)


def exposures_of(group: Group) -> list[int]:
    """Return the numbers of exposures, ascending."""
    return sorted({part.exposures for result in group.results for part in result.by_exposures})
