"""Format a comparison as a table for the terminal."""

from collections.abc import Sequence

from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.results import AttackResult, has_interval, headline_rate
from lightning_mia.report.comparison.comparison import AurocDifference, ComparedAttack, ComparedGroup, Comparison
from lightning_mia.report.content.numbers import ABSENT, NO_INTERVAL, percent, signed

MAX_ATTACKS = 12
"""Maximum number of attacks per family in the table; the page has all."""


def comparison_text(comparison: Comparison) -> str:
    """Return a table of attacks by runs."""
    runs = comparison.runs
    lines = [f"{run.label}: {HEADINGS[run.report.verdict.status]}" for run in runs]
    if comparison.unpaired:
        labels = ", ".join(run.label for run in comparison.unpaired)
        lines += [f"a different split from {runs[0].label}, so differences have no interval: {labels}"]
    for group in comparison.groups:
        lines += ["", *_group_lines(comparison, group)]
    return "\n".join(lines)


def headline_tpr(result: AttackResult | None) -> str:
    """Format the TPR at the FPR nearest to 1 %."""
    rate = headline_rate(result.tpr_at_fpr) if result else None
    if rate is None:
        return ABSENT
    return percent(rate.tpr) + ("" if rate.fpr == 0.01 else f" (at {percent(rate.fpr)})")


def _group_lines(comparison: Comparison, group: ComparedGroup) -> list[str]:
    rows = [[group.title, *(run.label for run in comparison.runs)]]
    if any(group.verdicts):
        statuses = (HEADINGS[verdict.status] if verdict else ABSENT for verdict in group.verdicts)
        rows.append(["  verdict", *statuses])
    for attack in group.attacks[:MAX_ATTACKS]:
        rows += _attack_rows(attack)
    n_hidden = max(0, len(group.attacks) - MAX_ATTACKS)
    more = [f"  … {n_hidden} more attack{'' if n_hidden == 1 else 's'} in compare.html"] if n_hidden else []
    return [*_aligned(rows), *more]


def _attack_rows(attack: ComparedAttack) -> list[list[str]]:
    return [
        [f"  {attack.name}", *(_auroc(result) for result in attack.results)],
        ["    TPR at FPR 1 %", *(headline_tpr(result) for result in attack.results)],
        ["    difference", "", *(_difference(difference) for difference in attack.differences)],
    ]


def _auroc(result: AttackResult | None) -> str:
    if result is None:
        return ABSENT
    low, high = result.auroc_ci95
    return f"{result.auroc:.3f} " + (f"[{low:.3f}, {high:.3f}]" if has_interval(result.auroc_ci95) else NO_INTERVAL)


def _difference(difference: AurocDifference | None) -> str:
    if difference is None:
        return ABSENT
    if difference.paired is None:
        return f"{signed(difference.value)} not paired"
    low, high = difference.paired.ci95
    interval = f"[{signed(low)}, {signed(high)}]" if has_interval(difference.paired.ci95) else NO_INTERVAL
    return f"{signed(difference.value)} {interval}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
