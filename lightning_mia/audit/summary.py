"""What a command prints when it is done: attacks by level and access, the controls that matter, verdict and report."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from lightning_mia.evaluation.reasons import HEADINGS, decisive_p_value
from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report import AuditReport, load_report
from lightning_mia.report.content.groups import CONTROL_KINDS, Group, attack_groups, headline_rate
from lightning_mia.report.content.numbers import percent

MAX_ATTACKS = 8
"""Attacks of one level and access that have a line; the report has the others."""


def print_summary(page: Path) -> None:
    """Print the outcome of the run whose report is `page`."""
    print(summary(load_report(page.parent)))
    print(f"report: {page}")


def summary(report: AuditReport) -> str:
    """Attacks, controls and verdict as text for a terminal.

    Attacks stand by level and access, the strongest first, and below them the best one of each group on models that
    cannot know the members; below all, the controls that are not of an attack, such as the blind one.
    """
    groups = attack_groups(report)
    of_best = [_controls_of(report, group.best) for group in groups]
    listed = [row for group, controls in zip(groups, of_best, strict=True) for row in (*_shown(group), *controls)]
    of_attacks = [control for attack in report.attacks for control in _controls_of(report, attack)]
    alone = [control for control in report.controls if control not in of_attacks]
    width = max(len(row.name) for row in (*listed, *alone))
    lines = []
    for group, controls in zip(groups, of_best, strict=True):
        lines += ["", *_group_lines(group, controls, width)]
    lines += ["", "controls"]
    lines += [f"{_line(control, width)}  ({control.level} level)" for control in alone]
    lines += _more(len(of_attacks) - sum(map(len, of_best)), "control")
    verdict = f"verdict: {report.verdict.status} – {report.verdict.reason}"
    return "\n".join([*lines, "", *textwrap.wrap(verdict, 110), ""])


def _controls_of(report: AuditReport, attack: AttackResult) -> list[AttackResult]:
    """The same attack on models that cannot know."""
    found = [report.result(f"{kind}_{attack.name}", attack.level) for kind in CONTROL_KINDS]
    return [control for control in found if control is not None]


def _shown(group: Group) -> list[AttackResult]:
    return [one for rank, one in enumerate(group.results) if rank < MAX_ATTACKS or one is group.best]


def _group_lines(group: Group, controls: Sequence[AttackResult], width: int) -> list[str]:
    status = f": {HEADINGS[group.verdict.status]}" if group.verdict else ""
    power = f"; AUROC {group.detectable:.2f} would show" if group.detectable is not None else ""
    return [
        f"{group.level} level, {group.access}{status} ({'; '.join(group.sizes)}{power})",
        *(_line(one, width) for one in _shown(group)),
        *_more(len(group.results) - len(_shown(group)), "attack"),
        *(_line(one, width) for one in controls),
    ]


def _more(n: int, what: str) -> list[str]:
    return [f"  … {n} more {what}{'' if n == 1 else 's'} in the report"] if n > 0 else []


def _line(result: AttackResult, width: int) -> str:
    lower, upper = result.auroc_ci95
    interval = f" [{lower:.3f}, {upper:.3f}]" if lower is not None and upper is not None else ""
    rate = headline_rate(result.tpr_at_fpr)
    return (
        f"  {result.name:<{width}}  AUROC {result.auroc:.3f}{interval:15}  p {decisive_p_value(result):<7.2g}"
        + (f"  TPR at FPR {percent(rate.fpr)}: {percent(rate.tpr):>6}" if rate else "")
        + (f"  {result.n_shadows} shadow models" if result.n_shadows else "")
    ).rstrip()
