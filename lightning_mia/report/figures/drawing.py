"""ROC curves and histograms of a group, with captions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.groups import Group
from lightning_mia.report.figures.attacks import MAX_CURVES, Curve, histogram_figure, log_roc_figure, roc_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure with its caption.

    Attributes:
        tag: path in TensorBoard, unique in a report.
        caption: one line above the figure.
        label: alternative text.
        figure: drawn in the colours of `style`.
    """

    tag: str
    caption: str
    label: str
    figure: "Figure"


@dataclass(frozen=True)
class ResultFigures:
    """Figures of some results of one group.

    Attributes:
        rocs: ROC curves, alternating between linear and log–log axes.
        histograms: score histograms, one per result.
    """

    rocs: tuple[Drawing, ...] = ()
    histograms: tuple[Drawing, ...] = ()


def draw_results(report: AuditReport, group: Group, results: Sequence[AttackResult]) -> ResultFigures:
    """Draw results of a group, such as the featured ones."""
    if not results:
        return ResultFigures()
    return ResultFigures(tuple(_rocs(report, group, results)), tuple(_histograms(report, results)))


def _rocs(report: AuditReport, group: Group, results: Sequence[AttackResult]) -> Iterator[Drawing]:
    """Yield two figures for every `MAX_CURVES` results."""
    blind = report.blind(group.level) if group.access != "none" else None
    blind_scores = report.scores_of(blind) if blind else None
    for start in range(0, len(results), MAX_CURVES):
        batch = results[start : start + MAX_CURVES]
        curves = [Curve(result.name, report.scores_of(result)) for result in batch]
        aurocs = "; ".join(f"{result.name} AUROC {result.auroc:.2f}" for result in batch)
        path = group.path + (f"/{start // MAX_CURVES + 1}" if start else "")
        for axes, tag, figure in (("linear", "roc", roc_figure), ("log–log", "roc_log", log_roc_figure)):
            yield Drawing(
                tag=f"{tag}/{path}",
                caption=f"ROC, {axes} axes",
                label=f"ROC curves on {axes} axes: {aurocs}",
                figure=figure(curves, blind_scores),
            )


def _histograms(report: AuditReport, results: Sequence[AttackResult]) -> Iterator[Drawing]:
    for result in results:
        yield Drawing(
            tag=f"scores/{result.level}/{result.name}",
            caption=result.name,
            label=f"Histogram of the scores of {result.name}: {result.n_members} members and "
            f"{result.n_nonmembers} non-members, AUROC {result.auroc:.2f}",
            figure=histogram_figure(report.scores_of(result)),
        )
