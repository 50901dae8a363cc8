"""Write a report as TensorBoard events.

Single figures are in one table and in the HParams tab. Tags of curves come after those of the training, on which
TensorBoard opens.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.figures.drawn_groups import DrawnGroup
from lightning_mia.report.logged_figures import headline, hyperparameters, markdown_table
from lightning_mia.report.markdown import render_verdict
from lightning_mia.utilities.files import fresh_folder


def write_tensorboard(folder: Path, report: AuditReport, groups: Iterable[DrawnGroup]) -> None:
    """Write one event file, replacing the previous content of `folder`.

    Raises:
        InputError: the folder cannot be written to.
    """
    with fresh_folder(folder) as fresh:
        _write_events(fresh, report, groups)


def scalars_by_shadows(report: AuditReport) -> Iterator[tuple[str, float, int]]:
    """Yield (tag, value, number of shadow models)."""
    for result in report.attacks:
        for point in result.with_fewer:
            yield f"with_shadow_models/{result.level}/{result.name}/auroc", point.auroc, point.n_shadows
            for rate in point.tpr_at_fpr:
                yield (
                    f"with_shadow_models/{result.level}/{result.name}/tpr_at_fpr_{rate.fpr:g}",
                    rate.tpr,
                    point.n_shadows,
                )


def _write_events(folder: Path, report: AuditReport, groups: Iterable[DrawnGroup]) -> None:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    with SummaryWriter(folder) as writer:
        writer.add_text("verdict", render_verdict(report))
        writer.add_text("figures", markdown_table(report))
        metrics = headline(report)
        for summary in hparams(hyperparameters(report), metrics):
            writer.file_writer.add_summary(summary)
        for tag, value in metrics.items():
            writer.add_scalar(tag, value)
        for tag, value, n_shadows in scalars_by_shadows(report):
            writer.add_scalar(tag, value, n_shadows)
        for drawn in groups:
            for drawing in (
                *drawn.featured.rocs,
                *drawn.featured.histograms,
                *drawn.by_shadows,
                *drawn.by_exposures,
            ):
                writer.add_figure(drawing.tag, drawing.figure)
