"""Options of the report."""

from dataclasses import dataclass

from lightning_mia.report.pdf import find_browser


@dataclass(frozen=True)
class ReportSettings:
    """Title page and formats of the report.

    Attributes:
        title: title of the report; by default the headline of the verdict stands alone.
        by: who made it, such as a name or a department.
        pdf: also write report.pdf, printed by a Chromium that is found on PATH.

    Raises:
        InputError: a PDF is requested, but no Chromium is found.

    Example:
        >>> ReportSettings(title="Voice assistant, release 3", by="Privacy team").by
        'Privacy team'
    """

    title: str = ""
    by: str = ""
    pdf: bool = False

    def __post_init__(self) -> None:
        """Look for the browser before hours of work."""
        if self.pdf:
            find_browser()
