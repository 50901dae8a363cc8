"""Print a page to PDF with a headless Chromium."""

import logging
import shutil
import subprocess
import tempfile
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path

log = logging.getLogger(__name__)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
"""Programs that print pages alike, in the order in which they are looked for."""

TIMEOUT_S = 120


def find_browser() -> str:
    """Return the path of a Chromium.

    Raises:
        InputError: there is none on PATH.
    """
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise InputError(
        f"report.pdf needs Chromium or Chrome, but none of {', '.join(BROWSERS)} is on PATH: install one, or leave the "
        "option out and print report.html from any browser"
    )


def write_pdf(page: Path, pdf: Path) -> Path | None:
    """Print a page; its style sheet sets margins and page numbers.

    A browser that fails costs the PDF only: a warning says why.

    Args:
        page: HTML file, which needs nothing but itself.
        pdf: file to write.

    Returns:
        The PDF, or None if the browser failed.

    Raises:
        InputError: there is no browser, or the folder cannot be written to.
    """
    browser = find_browser()
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "printed.pdf"
        reason = _failure(
            [
                browser,
                "--headless",
                "--no-sandbox",  # the page is ours, and containers rarely allow a sandbox
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
                f"--user-data-dir={folder}/profile",
                "--no-pdf-header-footer",  # the header would print the local path
                f"--print-to-pdf={printed}",
                page.resolve().as_uri(),
            ]
        )
        if not reason and not printed.is_file():
            reason = "it wrote nothing"
        if reason:
            log.warning("%s was not written: %s: %s; %s can be printed from any browser", pdf, browser, reason, page)
            return None
        with atomic_path(pdf) as temporary:
            shutil.copyfile(printed, temporary)
    return pdf


def _failure(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT_S} s"
    except OSError as error:
        return str(error)
    return f"it ended with status {done.returncode}" if done.returncode else ""
