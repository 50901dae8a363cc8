"""Render `compare.html`, a self-contained page."""

from pathlib import Path

from lightning_mia.report.comparison.comparison import Comparison
from lightning_mia.report.comparison.comparison_text import headline_tpr
from lightning_mia.report.templates import html_environment
from lightning_mia.utilities.files import check_folder, write_text


def write_comparison(folder: Path, comparison: Comparison) -> Path:
    """Write the page and return its path.

    Raises:
        InputError: the folder cannot be written to.
    """
    check_folder(folder)
    page = folder / "compare.html"
    write_text(page, render_comparison(comparison))
    return page


def render_comparison(comparison: Comparison) -> str:
    """Return the HTML of the comparison."""
    environment = html_environment()
    environment.filters["tpr"] = headline_tpr
    return environment.get_template("compare.html").render(comparison=comparison)
