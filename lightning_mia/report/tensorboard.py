"""Write a report as TensorBoard events."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.figures.drawn_groups import DrawnGroup
from lightning_mia.report.markdown import render_verdict
from lightning_mia.utilities.files import fresh_folder


def write_tensorboard(folder: Path, report: AuditReport, groups: Iterable[DrawnGroup]) -> None:
    """Write one event file, replacing the previous content of `folder`.

    Raises:
        InputError: the folder cannot be written to.
    """
    with fresh_folder(folder) as fresh:
        _write_events(fresh, report, groups)


def scalars(report: AuditReport) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of all results of attacks and controls."""
    for kind, results in (("audit", report.attacks), ("controls", report.controls)):
        for result in results:
            for name, value in _values(result):
                if value is not None:
                    yield f"{kind}/{result.level}/{result.name}/{name}", value
    for level, bound in report.blind_upper95.items():
        yield f"controls/{level}/blind/auroc_upper95", bound
    for stage, seconds in report.timings.items():
        yield f"timings/{stage}", seconds


def scalars_by_shadows(report: AuditReport) -> Iterator[tuple[str, float, int]]:
    """Yield (tag, value, number of shadow models)."""
    for result in report.attacks:
        for point in result.with_fewer:
            yield f"shadow_models/{result.level}/{result.name}/auroc", point.auroc, point.n_shadows
            for rate in point.tpr_at_fpr:
                yield f"shadow_models/{result.level}/{result.name}/tpr_at_fpr_{rate.fpr:g}", rate.tpr, point.n_shadows


def _values(result: AttackResult) -> Iterator[tuple[str, float | None]]:
    yield "auroc", result.auroc
    yield "auroc_ci95_low", result.auroc_ci95[0]
    yield "auroc_ci95_high", result.auroc_ci95[1]
    yield "auroc_blind_adjusted", result.auroc_blind_adjusted
    yield "p_value", result.p_value
    yield "p_value_corrected", result.p_value_corrected
    yield "advantage", result.advantage
    yield "advantage_null_mean", result.advantage_null_mean
    yield "smallest_detectable_auroc", result.smallest_detectable_auroc
    if result.versus_wrong_model:
        yield "beyond_wrong_model", result.versus_wrong_model.value
        yield "beyond_wrong_model_lower95", result.versus_wrong_model.lower95
    if result.in_turn:
        yield "in_turn_auroc_mean", result.in_turn.auroc_mean
        yield "in_turn_auroc_sd", result.in_turn.auroc_sd
        yield "in_turn_wrong_model_auroc_mean", result.in_turn.wrong_model_auroc_mean
    for rate in result.tpr_at_fpr:
        yield f"tpr_at_fpr_{rate.fpr:g}", rate.tpr
        yield f"achieved_fpr_at_fpr_{rate.fpr:g}", rate.achieved_fpr


def _write_events(folder: Path, report: AuditReport, groups: Iterable[DrawnGroup]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        writer.add_text("verdict", render_verdict(report))
        for tag, value in scalars(report):
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
