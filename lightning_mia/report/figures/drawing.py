"""Which figures a report has: the same ones on the page and in TensorBoard."""

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
    """A figure with what to call it.

    Attributes:
        tag: its path in TensorBoard, unique in a report.
        caption: one line to stand beside it.
        label: what it shows, in words, for those who cannot see it.
        figure: drawn in the colours of `palette`.
    """

    tag: str
    caption: str
    label: str
    figure: "Figure"


@dataclass(frozen=True)
class Plate:
    """Figures of some results of one group.

    Attributes:
        rocs: ROC curves on linear and on log–log axes, in turn.
        histograms: the scores of each result.
    """

    rocs: tuple[Drawing, ...] = ()
    histograms: tuple[Drawing, ...] = ()


def draw(report: AuditReport, group: Group, results: Sequence[AttackResult]) -> Plate:
    """Draw results of a group, such as the featured ones or the others."""
    if not results:
        return Plate()
    return Plate(tuple(_rocs(report, group, results)), tuple(_histograms(report, results)))


def _rocs(report: AuditReport, group: Group, results: Sequence[AttackResult]) -> Iterator[Drawing]:
    """One pair of figures for each portion of results that a figure can hold."""
    blind = report.blind(group.level) if group.access != "none" else None
    blind_scores = report.scores_of(blind) if blind else None
    for start in range(0, len(results), MAX_CURVES):
        portion = results[start : start + MAX_CURVES]
        curves = [Curve(result.name, report.scores_of(result)) for result in portion]
        what = "; ".join(f"{result.name} AUROC {result.auroc:.2f}" for result in portion)
        place = f"{group.level}/{group.access}" + (f"/{start // MAX_CURVES + 1}" if start else "")
        for axes, tag, figure in (("linear", "roc", roc_figure), ("log–log", "roc_log", log_roc_figure)):
            yield Drawing(
                tag=f"{tag}/{place}",
                caption=f"ROC, {axes} axes",
                label=f"ROC curves on {axes} axes: {what}",
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
