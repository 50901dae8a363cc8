"""What a command prints when it is done: the verdict, one line an attack, and where the report is."""

import textwrap
from pathlib import Path

from lightning_mia.evaluation.reasons import decisive_p_value
from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report import AuditReport, load_report


def print_summary(page: Path) -> None:
    """Print the outcome of the run whose report is `page`."""
    print(summary(load_report(page.parent)))
    print(f"report: {page}")


def summary(report: AuditReport) -> str:
    """Attacks, controls and verdict as text for a terminal."""
    rows = [*report.attacks, *report.controls]
    width = max(len(row.name) for row in rows)
    lines = [_line(row, width) for row in rows]
    verdict = f"verdict: {report.verdict.status} – {report.verdict.reason}"
    return "\n".join(["", *lines, "", *textwrap.wrap(verdict, 110), ""])


def _line(result: AttackResult, width: int) -> str:
    lower, upper = result.auroc_ci95
    return (
        f"{result.name:<{width}}  {result.level:<9}  {result.access:<12}  "
        f"AUROC {result.auroc:.3f} [{lower:.3f}, {upper:.3f}]  p {decisive_p_value(result):.3g}"
    )
