"""A comparison as a table for the terminal."""

from collections.abc import Sequence

from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.comparison.compare import Block, Comparison, Gap, Row
from lightning_mia.report.content.groups import headline_rate
from lightning_mia.report.content.numbers import percent, signed

MAX_ATTACKS = 12
"""Attacks of one level and access that have a line; the page has the others."""

NOT_PAIRED = "not paired"


def comparison_text(comparison: Comparison) -> str:
    """Attacks by runs: AUROC with its interval, TPR at FPR 1 %, and below each run but the first, the difference."""
    runs = comparison.runs
    lines = [f"{run.label}: {HEADINGS[run.report.verdict.status]}" for run in runs]
    if comparison.unpaired:
        named = ", ".join(run.label for run in comparison.unpaired)
        lines += [f"judged on another split than {runs[0].label}, so that differences have no interval: {named}"]
    for block in comparison.blocks:
        lines += ["", *_block(comparison, block)]
    return "\n".join(lines)


def _block(comparison: Comparison, block: Block) -> list[str]:
    title = f"{block.level} level, {'control' if block.access == 'none' else block.access}"
    rows = [[title, *(run.label for run in comparison.runs)]]
    if any(block.verdicts):
        rows.append(["  verdict", *(HEADINGS[one.status] if one else "–" for one in block.verdicts)])
    shown = block.rows[:MAX_ATTACKS]
    for row in shown:
        rows += _lines_of(row)
    lines = _aligned(rows)
    hidden = len(block.rows) - len(shown)
    return [*lines, *([f"  … {hidden} more attack{'' if hidden == 1 else 's'} in compare.html"] if hidden else [])]


def _lines_of(row: Row) -> list[list[str]]:
    return [
        [f"  {row.name}", *(_auroc(result) for result in row.results)],
        ["    TPR at FPR 1 %", *(tpr(result) for result in row.results)],
        ["    difference", "", *(difference(gap) for gap in row.differences)],
    ]


def _auroc(result: AttackResult | None) -> str:
    if result is None:
        return "–"
    low, high = result.auroc_ci95
    return f"{result.auroc:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else "")


def tpr(result: AttackResult | None) -> str:
    """TPR at the rate nearest to 1 %, and that rate where it is another one."""
    rate = headline_rate(result.tpr_at_fpr) if result else None
    if rate is None:
        return "–"
    return percent(rate.tpr) + ("" if rate.fpr == 0.01 else f" (at {percent(rate.fpr)})")


def difference(gap: Gap | None) -> str:
    """The difference to the first run with its interval, or that it has none."""
    if gap is None:
        return "–"
    if gap.paired is None:
        return f"{signed(gap.value)} {NOT_PAIRED}"
    low, high = gap.paired.ci95
    return f"{signed(gap.value)} [{signed(low)}, {signed(high)}]"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
