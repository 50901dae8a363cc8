"""`compare.html`: runs side by side on one page that needs nothing else."""

from pathlib import Path

from lightning_mia.files import check_folder, write_text
from lightning_mia.report import comparison_text, wording
from lightning_mia.report.comparison import Comparison
from lightning_mia.report.page import make_environment, script, style


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
    environment = make_environment()
    environment.filters["tpr"] = comparison_text.tpr
    environment.filters["difference"] = comparison_text.difference
    return environment.get_template("compare.html").render(
        comparison=comparison, style=style(), script=script(), headlines=wording.HEADLINES
    )
