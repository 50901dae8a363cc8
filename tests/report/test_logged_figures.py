"""Figures of the report in the loggers of the user."""

import csv
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightning_mia.report import AuditReport
from lightning_mia.report.logged_figures import COLUMNS, headline, log_report


def test_csv_gets_every_figure(planted_report: AuditReport, tmp_path: Path) -> None:
    log_report([CSVLogger(tmp_path, name="mia", version="R/report")], planted_report)
    with open(tmp_path / "mia" / "R" / "report" / "metrics.csv", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    for result in (*planted_report.attacks, *planted_report.controls):
        assert float(row[f"{result.level}/{result.name}/auroc"]) == pytest.approx(result.auroc)
    assert float(row["verdict/auroc"]) == max(attack.auroc for attack in planted_report.attacks)


def test_tensorboard_gets_one_table_and_the_headline(planted_report: AuditReport, tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="mia", version="R/report", default_hp_metric=False)
    log_report([logger], planted_report)
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir).Reload()
    assert set(events.Tags()["scalars"]) == set(headline(planted_report))
    assert "figures/text_summary" in events.Tags()["tensors"]


class Tables(Logger):
    """A logger with tables, like that of Weights & Biases."""

    name = version = "tables"

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[object]]] = {}
        self.metrics: dict[str, float] = {}

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.metrics |= metrics

    def log_hyperparams(self, *_: object, **__: object) -> None: ...

    def log_table(self, key: str, columns: list[str], data: list[list[object]]) -> None:
        assert columns == list(COLUMNS)
        self.tables[key] = data


def test_a_logger_with_tables_gets_one(planted_report: AuditReport) -> None:
    logger = Tables()
    log_report([logger], planted_report)
    assert len(logger.tables["figures"]) == len(planted_report.attacks) + len(planted_report.controls)
    assert set(logger.metrics) == set(headline(planted_report))
