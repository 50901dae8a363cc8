"""The report's numbers, figures and verdict as TensorBoard shows them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.wording import HEADLINES
from lightning_mia.report.figures.groups import DrawnGroup
from lightning_mia.utilities.files import fresh_folder


def write_tensorboard(folder: Path, report: AuditReport, groups: Iterable[DrawnGroup]) -> None:
    """Write the event file of a report, in place of what `folder` held before.

    Raises:
        InputError: the folder cannot be written to.
    """
    with fresh_folder(folder) as fresh:
        _write_events(fresh, report, groups)


def scalars(report: AuditReport) -> Iterator[tuple[str, float]]:
    """Yield (tag, value) of every figure of every attack and control."""
    for kind, results in (("audit", report.attacks), ("controls", report.controls)):
        for result in results:
            for name, value in _figures(result):
                if value is not None:
                    yield f"{kind}/{result.level}/{result.name}/{name}", value
    for level, bound in report.blind_upper95.items():
        yield f"controls/{level}/blind/auroc_upper95", bound
    for stage, seconds in report.timings.items():
        yield f"timings/{stage}", seconds


def scalars_by_shadows(report: AuditReport) -> Iterator[tuple[str, float, int]]:
    """Yield (tag, value, number of shadow models) of the attacks with a part of the fleet: a curve each."""
    for result in report.attacks:
        for one in result.with_fewer:
            yield f"shadow_models/{result.level}/{result.name}/auroc", one.auroc, one.n_shadows
            for rate in one.tpr_at_fpr:
                yield f"shadow_models/{result.level}/{result.name}/tpr_at_fpr_{rate.fpr:g}", rate.tpr, one.n_shadows


def _figures(result: AttackResult) -> Iterator[tuple[str, float | None]]:
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
        writer.add_text("verdict", _verdict(report))
        for tag, value in scalars(report):
            writer.add_scalar(tag, value)
        for tag, value, n_shadows in scalars_by_shadows(report):
            writer.add_scalar(tag, value, n_shadows)
        for one in groups:
            for drawing in (*one.featured.rocs, *one.featured.histograms, *one.by_shadows):
                writer.add_figure(drawing.tag, drawing.figure)


def _verdict(report: AuditReport) -> str:
    """The verdict as Markdown."""
    rows = [
        f"| {v.level} | {v.access} | {HEADLINES[v.status]} | {v.reason} |" for v in report.verdict.by_level_and_access
    ]
    lines = [f"**{HEADLINES[report.verdict.status]}.** {report.verdict.reason}", ""]
    return "\n".join([*lines, "| level | access | verdict | reason |", "|---|---|---|---|", *rows] if rows else lines)
