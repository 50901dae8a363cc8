"""Which figures a report has: the same ones on the page and in TensorBoard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.scores import ACCESSES, LEVELS
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.figures import MOST_CURVES, Curve, histogram_figure, log_roc_figure, roc_figure

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
class Group:
    """Results of one level and access: the unit of verdicts, of tables and of ROC figures.

    Attributes:
        level: "utterance" or "speaker".
        access: "none" for the controls.
        results: those of the group, in the order of the run.
    """

    level: str
    access: str
    results: tuple[AttackResult, ...]

    @property
    def parts(self) -> list[tuple[AttackResult, ...]]:
        """The results in portions that one ROC figure can hold."""
        return [self.results[i : i + MOST_CURVES] for i in range(0, len(self.results), MOST_CURVES)]

    @property
    def sizes(self) -> list[str]:
        """How many units are judged, in words; more than one entry where the results differ in it."""
        return list(dict.fromkeys(f"{r.n_members} members, {r.n_nonmembers} non-members" for r in self.results))

    def place(self, result: AttackResult) -> int:
        """Which colour and dashes the result has in its ROC figure, from 0."""
        return self.results.index(result) % MOST_CURVES


@dataclass(frozen=True)
class Plate:
    """A group of results with its figures.

    Attributes:
        group: the results.
        rocs: ROC curves on linear and on log–log axes, in turn.
        histograms: the scores of each result.
    """

    group: Group
    rocs: tuple[Drawing, ...]
    histograms: tuple[Drawing, ...]


def draw(report: AuditReport, results: Sequence[AttackResult]) -> tuple[Plate, ...]:
    """Group results by level and access, in the order of `LEVELS` and `ACCESSES`, and draw each group."""
    groups = [
        Group(level, access, tuple(r for r in results if (r.level, r.access) == (level, access)))
        for level in LEVELS
        for access in ACCESSES
    ]
    return tuple(
        Plate(group, tuple(_rocs(report, group)), tuple(_histograms(report, group)))
        for group in groups
        if group.results
    )


def _rocs(report: AuditReport, group: Group) -> Iterator[Drawing]:
    blind = report.blind(group.level) if group.access != "none" else None
    blind_scores = report.scores_of(blind) if blind else None
    for number, part in enumerate(group.parts, start=1):
        curves = [Curve(result.name, report.scores_of(result)) for result in part]
        what = "; ".join(f"{result.name} AUROC {result.auroc:.2f}" for result in part)
        place = f"{group.level}/{group.access}" + (f"/{number}" if number > 1 else "")
        for axes, tag, figure in (("linear", "roc", roc_figure), ("log–log", "roc_log", log_roc_figure)):
            yield Drawing(
                tag=f"{tag}/{place}",
                caption=f"ROC, {axes} axes",
                label=f"ROC curves on {axes} axes: {what}",
                figure=figure(curves, blind_scores),
            )


def _histograms(report: AuditReport, group: Group) -> Iterator[Drawing]:
    for result in group.results:
        yield Drawing(
            tag=f"scores/{group.level}/{result.name}",
            caption=result.name,
            label=f"Histogram of the scores of {result.name}: {result.n_members} members and "
            f"{result.n_nonmembers} non-members, AUROC {result.auroc:.2f}",
            figure=histogram_figure(report.scores_of(result)),
        )
