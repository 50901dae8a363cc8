"""The report of a run on disk: written once from the results, rebuilt from what is saved."""

from pathlib import Path

from lightning_mia.audit.breakdown import break_down
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.breakdown import speaker_names
from lightning_mia.report.figures.groups import draw_attacks, draw_controls
from lightning_mia.report.files.results_json import read_results, to_results
from lightning_mia.report.files.scores_csv import write_scores
from lightning_mia.report.files.speakers_csv import write_speakers
from lightning_mia.report.files.units_csv import write_units
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown
from lightning_mia.report.tensorboard import write_tensorboard
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json, write_text


def write_report(report_dir: str | Path, report: AuditReport) -> Path:
    """Write `results.json`, its tables, `report.html`, `report.md` and the TensorBoard events into `report_dir`.

    The pages and the events are made from the files, never from memory, so that `rebuild` gives the same.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder cannot be written to.
    """
    report_dir = Path(report_dir)
    write_scores(report_dir / "scores.csv", report.scores)
    if report.units:
        write_units(report_dir / "units.csv", report.units)
    write_json(report_dir / "results.json", to_results(break_down(report)))
    return _render(report_dir)


def load_report(report_dir: str | Path) -> AuditReport:
    """Read a report from `results.json`, `scores.csv` and, where there is one, `units.csv`.

    Raises:
        InputError: a file is missing, is not what it should be, or they do not belong together.
    """
    folder = Path(report_dir)
    return read_results(folder / "results.json", folder / "scores.csv", folder / "units.csv")


def rebuild(run_dir: str | Path, names: bool = False) -> Path:
    """Make the page, its Markdown and the TensorBoard events of a run anew, from its saved scores and results.

    Args:
        run_dir: folder of the run.
        names: show the names of speakers and recordings, in files of their own: `report_names.html` and `.md`.

    Returns:
        The path of the page.

    Raises:
        InputError: the run has no report, or its files are not what they should be.
    """
    return _render(_report_dir(run_dir), names)


def load_run(run_dir: str | Path) -> AuditReport:
    """Read the report of a run.

    Raises:
        InputError: the run has no report, or its files are not what they should be.
    """
    return load_report(_report_dir(run_dir))


def _report_dir(run_dir: str | Path) -> Path:
    report_dir = Path(run_dir) / "report"
    if not (report_dir / "results.json").is_file():
        raise InputError(f"{run_dir}: no report/results.json in there; name the run directory of a finished run")
    return report_dir


def _render(report_dir: Path, show_names: bool = False) -> Path:
    report = break_down(load_report(report_dir))
    attacks, controls = draw_attacks(report), draw_controls(report)
    pseudonym_of = speaker_names(report) if report.speaker_risks else {}
    names = {pseudonym: name for name, pseudonym in pseudonym_of.items()} if show_names else None
    stem = "report_names" if show_names else "report"
    page = report_dir / f"{stem}.html"
    write_text(page, render_page(report, attacks, controls, names))
    write_text(report_dir / f"{stem}.md", render_markdown(report, names))
    if pseudonym_of:
        write_speakers(report_dir / "speakers.csv", pseudonym_of, report.speaker_risks)
    write_tensorboard(report_dir / "tensorboard", report, (*attacks, *controls))
    return page
