"""The figures of a report for the loggers of experiments: one table, and few metrics."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from lightning_mia.evaluation.results import AttackResult, headline_rate
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.files.private_json import without_paths

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

COLUMNS = ("level", "access", "result", "auroc", "ci95_low", "ci95_high", "p_value", "tpr", "at_fpr", "n_shadows")
SECTIONS = ("model", "data", "trainer", "fleet")
"""Parts of the config that are logged as hyperparameters."""


def log_report(loggers: "Iterable[Logger]", report: AuditReport) -> None:
    """Log a report, so that each logger shows it in its way.

    TensorBoard gets one table and the headline as metrics of HParams; Weights & Biases a table and a summary; all
    others, such as CSV and MLflow, every figure as a metric.

    Args:
        loggers: loggers of the run `report`.
        report: the report.
    """
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(hyperparameters(report), headline(report))
            logger.experiment.add_text("figures", markdown_table(report))
            continue
        logger.log_hyperparams(hyperparameters(report))
        logger.log_metrics({**headline(report), **({} if _has_tables(logger) else metrics(report))}, step=0)
        if _has_tables(logger):
            logger.log_table("figures", list(COLUMNS), [list(row) for row in rows(report)])  # type: ignore[attr-defined]
        if isinstance(logger, CSVLogger):
            logger.save()


def _has_tables(logger: "Logger") -> bool:
    return hasattr(logger, "log_table")


def headline(report: AuditReport) -> dict[str, float]:
    """Return AUROC and TPR of the attack with the highest AUROC.

    The tags come after those of the training, with which TensorBoard opens.
    """
    if not report.attacks:
        return {}
    best = max(report.attacks, key=lambda attack: attack.auroc)
    rate = headline_rate(best.tpr_at_fpr)
    return {"verdict/auroc": best.auroc, **({f"verdict/tpr_at_fpr_{rate.fpr:g}": rate.tpr} if rate else {})}


def metrics(report: AuditReport) -> dict[str, float]:
    """Return AUROC and TPR of every result, and seconds of every stage."""
    values = {}
    for result in (*report.attacks, *report.controls):
        name = f"{result.level}/{result.name}"
        values[f"{name}/auroc"] = result.auroc
        values |= {f"{name}/tpr_at_fpr_{rate.fpr:g}": rate.tpr for rate in result.tpr_at_fpr}
    return {**values, **{f"timings/{stage}": seconds for stage, seconds in report.timings.items()}}


def rows(report: AuditReport) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table of all attacks and controls; see `COLUMNS`."""
    for result in (*report.attacks, *report.controls):
        rate = headline_rate(result.tpr_at_fpr)
        yield (
            result.level,
            result.access,
            result.name,
            result.auroc,
            *result.auroc_ci95,
            _p_value(result),
            rate.tpr if rate else None,
            rate.fpr if rate else None,
            result.n_shadows,
        )


def markdown_table(report: AuditReport) -> str:
    """Format the table of all attacks and controls."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_shown, row))} |" for row in rows(report))])


def hyperparameters(report: AuditReport) -> dict[str, Any]:
    """Return the settings that the run was started with, flat; of paths, only the last part.

    >>> from types import SimpleNamespace
    >>> config = "model: {class_path: lightning_mia.TERA, init_args: {dim: 64}}\\ndata: {corpus: {path: /a/M.csv}}"
    >>> hyperparameters(SimpleNamespace(config_yaml=config, verdict=SimpleNamespace(status="leak")))
    {'verdict': 'leak', 'model': 'TERA', 'model.dim': 64, 'data.corpus.path': '…/M.csv'}
    """
    config = yaml.safe_load(without_paths(report.config_yaml)) if report.config_yaml else {}
    values: dict[str, Any] = {"verdict": report.verdict.status}
    for section in SECTIONS:
        values |= dict(_flat(config.get(section), section))
    return values


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if "class_path" in value:
            yield name, str(value["class_path"]).rpartition(".")[2]
            value = value.get("init_args") or {}
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}")
    elif isinstance(value, bool | int | float | str):
        yield name, value


def _p_value(result: AttackResult) -> float:
    return result.p_value if result.p_value_corrected is None else result.p_value_corrected


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
