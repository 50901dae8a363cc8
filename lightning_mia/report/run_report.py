"""The report of a run on disk: written once from the results, rebuilt from what is saved."""

from pathlib import Path

from lightning_mia.errors import InputError
from lightning_mia.files import write_json, write_text
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.page import render_page
from lightning_mia.report.results import read_results, to_results
from lightning_mia.report.scores_table import write_scores
from lightning_mia.report.tensorboard import write_tensorboard


def write_report(report_dir: str | Path, report: AuditReport) -> Path:
    """Write `results.json`, `scores.csv`, `report.html` and the TensorBoard events into `report_dir`.

    The page and the events are made from the two files, never from memory, so that `rebuild` gives the same.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder cannot be written to.
    """
    report_dir = Path(report_dir)
    write_scores(report_dir / "scores.csv", report.scores)
    write_json(report_dir / "results.json", to_results(report))
    return _render(report_dir)


def load_report(report_dir: str | Path) -> AuditReport:
    """Read a report from `results.json` and `scores.csv`.

    Raises:
        InputError: a file is missing, is not what it should be, or the two do not belong together.
    """
    return read_results(Path(report_dir) / "results.json", Path(report_dir) / "scores.csv")


def rebuild(run_dir: str | Path) -> Path:
    """Make the page and the TensorBoard events of a run anew, from its saved scores and results.

    Returns:
        The path of the page.

    Raises:
        InputError: the run has no report, or its files are not what they should be.
    """
    report_dir = Path(run_dir) / "report"
    if not (report_dir / "results.json").is_file():
        raise InputError(f"{run_dir}: no report/results.json in there; name the run directory of a finished run")
    return _render(report_dir)


def _render(report_dir: Path) -> Path:
    report = load_report(report_dir)
    page = report_dir / "report.html"
    attacks, controls = draw_attacks(report), draw_controls(report)
    write_text(page, render_page(report, attacks, controls))
    write_tensorboard(report_dir / "tensorboard", report, (*attacks, *controls))
    return page
