"""A finished run in a notebook: tables, figures, page."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from lightning_mia.report import AuditReport, load_report, write_report
from lightning_mia.report.notebook_report import NotebookReport
from lightning_mia.utilities.errors import InputError


@pytest.fixture(scope="module")
def run_dir(small_report: AuditReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_report(folder / "report", small_report)
    return folder


@pytest.fixture(scope="module")
def report(run_dir: Path) -> NotebookReport:
    return NotebookReport.load(run_dir)


@pytest.mark.slow
def test_it_is_the_report_of_the_files(report: NotebookReport, run_dir: Path) -> None:
    stored = load_report(run_dir / "report")
    assert (report.verdict, report.attacks, report.controls) == (stored.verdict, stored.attacks, stored.controls)
    assert isinstance(report, AuditReport)
    assert report.page == run_dir / "report/report.html"
    assert report.page.is_file()


def test_attacks_are_a_table_with_the_strongest_first(report: NotebookReport) -> None:
    table = report.attack_table
    assert sorted(table["name"]) == sorted(attack.name for attack in report.attacks)
    best = report.result(table["name"].iloc[0], table["level"].iloc[0])
    assert best is not None
    assert table["auroc"].iloc[0] == best.auroc
    assert (table["lower95"].iloc[0], table["upper95"].iloc[0]) == best.auroc_ci95
    rate = best.tpr_at_fpr[0]
    assert table[f"tpr_at_fpr_{rate.fpr:g}"].iloc[0] == rate.tpr
    assert report.control_table["name"].tolist() == [control.name for control in report.controls]


def test_scores_are_the_table_of_the_file(report: NotebookReport, run_dir: Path) -> None:
    stored = pd.read_csv(run_dir / "report/scores.csv", dtype={"unit_id": str, "speaker": str})
    table = report.score_table
    assert table.columns.tolist() == stored.columns.tolist()
    assert len(table) == len(stored)
    assert table["score"].tolist() == stored["score"].tolist()


def test_figures_are_those_of_the_page(report: NotebookReport) -> None:
    figures = report.figures()
    assert any(tag.startswith("roc_log/") for tag in figures)
    assert any(tag.startswith("scores/") for tag in figures)
    assert all(isinstance(figure, Figure) for figure in figures.values())


def test_a_notebook_shows_verdict_table_roc_and_page(report: NotebookReport) -> None:
    html = report._repr_html_()
    for part in (report.headline, report.attack_table["name"].iloc[0], "data:image/png;base64,", str(report.page)):
        assert part in html
    assert repr(report).startswith(f"{report.headline}: ")


def test_a_blind_check_has_no_attacks(planted_blind_report: AuditReport, tmp_path: Path) -> None:
    write_report(tmp_path / "report", planted_blind_report)
    report = NotebookReport.load(tmp_path)
    assert report.attack_table.empty
    assert "<table" not in report._repr_html_()
    assert report.headline in ("Assessable", "Not assessable")


def test_names_are_escaped(report: NotebookReport) -> None:
    changed = replace(report, verdict=replace(report.verdict, reason="<b>&"))
    assert "&lt;b&gt;&amp;" in changed._repr_html_()


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no report/results\.json"):
        NotebookReport.load(tmp_path)
