"""`compare.html`: runs side by side on one page that needs nothing else."""

from pathlib import Path

from lightning_mia.report.comparison import text as comparison_text
from lightning_mia.report.comparison.compare import Comparison
from lightning_mia.report.content import wording
from lightning_mia.report.html import make_environment, script, style
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
    environment = make_environment()
    environment.filters["tpr"] = comparison_text.tpr
    environment.filters["difference"] = comparison_text.difference
    return environment.get_template("compare.html").render(
        comparison=comparison, style=style(), script=script(), headlines=wording.HEADLINES
    )
