"""Terminal summary of an audit: attacks, controls, verdict."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from lightning_mia.evaluation.reasons import HEADINGS, decisive_p_value
from lightning_mia.evaluation.results import AttackResult, has_interval, headline_rate
from lightning_mia.report import AuditReport, load_report
from lightning_mia.report.content.epsilon_text import rounded_down
from lightning_mia.report.content.groups import CONTROL_KINDS, Group, attack_groups
from lightning_mia.report.content.numbers import NO_INTERVAL, percent

MAX_ATTACKS = 8
"""Maximum number of attacks listed per level and access; the report has all."""


def print_summary(page: Path) -> None:
    """Print the summary of a run.

    Args:
        page: the report's page.
    """
    print(summary(load_report(page.parent)))
    print(f"report: {page}")


def summary(report: AuditReport) -> str:
    """Format attacks, controls and verdict as text.

    Attacks are grouped by level and access, the strongest first; the controls of each group's best attack follow. The
    controls that belong to no attack, such as the blind baseline, come last. If a coin decided for each unit, the
    largest lower bound on ε follows. The verdict is followed by what would make another audit say more.
    """
    groups = attack_groups(report)
    best_controls = [_attack_controls(report, group.best) for group in groups]
    rows = [row for group, controls in zip(groups, best_controls, strict=True) for row in (*_listed(group), *controls)]
    attack_controls = [control for attack in report.attacks for control in _attack_controls(report, attack)]
    other_controls = [control for control in report.controls if control not in attack_controls]
    width = max(len(row.name) for row in (*rows, *other_controls))
    lines = []
    for group, controls in zip(groups, best_controls, strict=True):
        lines += ["", *_group_lines(group, controls, width)]
    lines += ["", "controls"]
    lines += [f"{_line(control, width)}  ({control.family.question})" for control in other_controls]
    lines += _more(len(attack_controls) - sum(map(len, best_controls)), "control")
    lines += _epsilon_lines(report)
    verdict = f"verdict: {report.verdict.status} – {report.verdict.reason}"
    return "\n".join([*lines, "", *_wrapped(verdict), "", *_suggestions(report)])


def _attack_controls(report: AuditReport, attack: AttackResult) -> list[AttackResult]:
    """Return an attack's results on the control models."""
    results = [report.result(f"{kind}_{attack.name}", attack.level) for kind in CONTROL_KINDS]
    return [control for control in results if control is not None]


def _listed(group: Group) -> list[AttackResult]:
    return [attack for rank, attack in enumerate(group.results) if rank < MAX_ATTACKS or attack is group.best]


def _group_lines(group: Group, controls: Sequence[AttackResult], width: int) -> list[str]:
    status = f": {HEADINGS[group.verdict.status]}" if group.verdict else ""
    power = f"; smallest detectable AUROC {group.detectable:.2f}" if group.detectable is not None else ""
    return [
        f"{group.family}{status} ({'; '.join(group.sizes)}{power})",
        *(_line(attack, width) for attack in _listed(group)),
        *_more(len(group.results) - len(_listed(group)), "attack"),
        *(_line(control, width) for control in controls),
    ]


def _epsilon_lines(report: AuditReport) -> list[str]:
    """Format the largest lower bound on ε; approximate ones are omitted."""
    bounds = [bound for bound in report.epsilon_bounds if bound.method == "one_run"]
    if not bounds:
        return []
    best = max(bounds, key=lambda bound: bound.epsilon_corrected)
    condition = f"δ = {best.delta:g}; 95 %, corrected for the number of attacks"
    if not best.epsilon_corrected:
        return ["", f"ε: no attack shows that it is above 0, at {condition}"]
    guesses = f"{best.attack}, {best.n_correct} of {best.n_guesses} guesses correct"
    return ["", f"ε ≥ {rounded_down(best.epsilon_corrected)} ({guesses}) at {condition}"]


def _suggestions(report: AuditReport) -> list[str]:
    """Format the suggestions; commands stay on one line, to be copied."""
    lines, command = [], report.provenance.command
    for suggestion in report.suggestions:
        run = [f"  {command} {suggestion.option}"] if command and suggestion.option else []
        lines += [*_wrapped(suggestion.text), *run, ""]
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 110, break_on_hyphens=False)


def _more(n: int, noun: str) -> list[str]:
    return [f"  … {n} more {noun}{'' if n == 1 else 's'} in the report"] if n > 0 else []


def _line(result: AttackResult, width: int) -> str:
    lower, upper = result.auroc_ci95
    interval = f"[{lower:.3f}, {upper:.3f}]" if has_interval(result.auroc_ci95) else NO_INTERVAL
    rate = headline_rate(result.tpr_at_fpr)
    return (
        f"  {result.name:<{width}}  AUROC {result.auroc:.3f} {interval:14}  p {decisive_p_value(result):<7.2g}"
        + (f"  TPR at FPR {percent(rate.fpr)}: {percent(rate.tpr):>6}" if rate else "")
        + (f"  {result.n_shadows} shadow models" if result.n_shadows else "")
        + (f"  {result.n_references} reference model{'s'[: result.n_references > 1]}" if result.n_references else "")
    ).rstrip()
