"""Render `report.md`, a shorter version of the page without figures."""

from collections.abc import Mapping

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.context import template_context
from lightning_mia.report.templates import markdown_environment


def render_markdown(report: AuditReport, names: Mapping[str, str] | None = None) -> str:
    """Return the report as Markdown.

    Args:
        report: the report.
        names: pseudonym → name of the speakers; None: names are not shown.
    """
    return markdown_environment().get_template("report.md").render(**template_context(report, names))


def render_verdict(report: AuditReport) -> str:
    """Return the verdict, the first section of the Markdown."""
    return markdown_environment().get_template("verdict.md").render(**template_context(report))
