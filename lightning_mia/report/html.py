"""Render `report.html`, a self-contained page."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.context import template_context
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.drawn_groups import DrawnGroup
from lightning_mia.report.figures.exposure_groups import exposures_of
from lightning_mia.report.figures.shadow_models import sizes_of
from lightning_mia.report.figures.svg import inline_svg
from lightning_mia.report.templates import html_environment

if TYPE_CHECKING:
    from markupsafe import Markup


def render_page(
    report: AuditReport,
    attacks: Sequence[DrawnGroup],
    controls: Sequence[DrawnGroup],
    names: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML of the report.

    Args:
        report: the report.
        attacks: its attacks with their figures.
        controls: its controls with their figures.
        names: pseudonym → name of the speakers, for a page that shows names of speakers and recordings; None: names
            are not shown.
    """
    environment = html_environment()
    environment.filters["inline"] = _inliner()
    return environment.get_template("report.html").render(
        **template_context(report, names),
        attacks=attacks,
        controls=controls,
        as_targets=[drawn for drawn in attacks if any(result.in_turn for result in drawn.group.results)],
        by_shadows=[(drawn, sizes) for drawn in attacks if (sizes := sizes_of(drawn.group))],
        by_exposures=[(drawn, times) for drawn in attacks if (times := exposures_of(drawn.group))],
    )


def _inliner() -> "Callable[[Drawing], Markup]":
    """Return a filter that inlines drawings with unique ids."""
    from markupsafe import Markup

    number = count(1)
    return lambda drawing: Markup(inline_svg(drawing.figure, drawing.label, f"f{next(number)}"))
