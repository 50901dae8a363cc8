"""Write and read the report of a run."""

from pathlib import Path

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.breakdown_text import speaker_pseudonyms
from lightning_mia.report.figures.drawn_groups import draw_attacks, draw_controls
from lightning_mia.report.files.private_json import shareable, with_private, write_private
from lightning_mia.report.files.results_json import read_results, to_results, with_hashes
from lightning_mia.report.files.scores_csv import write_scores
from lightning_mia.report.files.speakers_csv import write_speakers
from lightning_mia.report.files.units_csv import write_units
from lightning_mia.report.html import render_page
from lightning_mia.report.markdown import render_markdown
from lightning_mia.report.pdf import write_pdf
from lightning_mia.report.tensorboard import write_tensorboard
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json, write_text


def write_report(report_dir: str | Path, report: AuditReport, pdf: bool = False) -> Path:
    """Write data, pages and TensorBoard events of a complete report.

    The pages are rendered from the files just written, not from memory, so that `rebuild` returns the same bytes.

    Args:
        report_dir: folder of the files.
        report: what they show.
        pdf: also print the page to `report.pdf`.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: the folder cannot be written to.
    """
    report_dir = Path(report_dir)
    tables = [report_dir / "scores.csv"]
    write_scores(tables[0], report.scores)
    if report.units:
        tables.append(report_dir / "units.csv")
        write_units(tables[1], report.units)
    write_private(report_dir / "private.json", report)
    write_json(report_dir / "results.json", with_hashes(to_results(shareable(report)), tables))
    return render_report(report_dir, load_report(report_dir), pdf=pdf)


def render_report(report_dir: Path, report: AuditReport, with_names: bool = False, pdf: bool = False) -> Path:
    """Write `report.html`, `report.md`, `speakers.csv` and the TensorBoard events.

    Args:
        report_dir: folder that they are written to.
        report: what they show.
        with_names: show paths and names of speakers and recordings, in `report_names.html` and `report_names.md`.
        pdf: also print the page to a PDF of the same name.

    Returns:
        The path of the page.
    """
    report = report if with_names else shareable(report)
    attacks, controls = draw_attacks(report), draw_controls(report)
    pseudonyms = speaker_pseudonyms(report)
    names = {pseudonym: name for name, pseudonym in pseudonyms.items()} if with_names else None
    stem = "report_names" if with_names else "report"
    page = report_dir / f"{stem}.html"
    write_text(page, render_page(report, attacks, controls, names))
    write_text(report_dir / f"{stem}.md", render_markdown(report, names))
    if pseudonyms:
        write_speakers(report_dir / "speakers.csv", pseudonyms, report.speaker_risks)
    write_tensorboard(report_dir / "tensorboard", report, (*attacks, *controls))
    if pdf:
        write_pdf(page, page.with_suffix(".pdf"))
    return page


def load_report(report_dir: str | Path) -> AuditReport:
    """Read a report from `results.json`, `scores.csv`, `units.csv` and `private.json`.

    Raises:
        InputError: a file is missing or damaged, or the files do not belong together.
    """
    folder = Path(report_dir)
    report = read_results(folder / "results.json", folder / "scores.csv", folder / "units.csv")
    return with_private(report, folder / "private.json")


def load_run(run_dir: str | Path) -> AuditReport:
    """Read the report of a run.

    Raises:
        InputError: the run has no report, or its files are damaged.
    """
    return load_report(find_report(run_dir))


def rebuild(run_dir: str | Path, with_names: bool = False) -> Path:
    """Render the report of a run again.

    Args:
        run_dir: folder of the run.
        with_names: see `render_report`.

    Returns:
        The path of the page.

    Raises:
        InputError: the run has no report, or its files are damaged.
    """
    return render_report(find_report(run_dir), load_run(run_dir), with_names)


def find_report(run_dir: str | Path) -> Path:
    """Return the report folder of a finished run.

    Raises:
        InputError: the run has no report.
    """
    report_dir = Path(run_dir) / "report"
    if not (report_dir / "results.json").is_file():
        raise InputError(f"{run_dir} has no report/results.json; give the run directory of a finished run")
    return report_dir
