"""Terminal summary of an audit: attacks, controls, verdict."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from lightning_mia.evaluation.reasons import HEADINGS, decisive_p_value
from lightning_mia.evaluation.results import AttackResult, has_interval, headline_rate
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.report import AuditReport, load_report
from lightning_mia.report.content.epsilon_text import rounded_down
from lightning_mia.report.content.groups import CONTROL_KINDS, Group, attack_groups
from lightning_mia.report.content.numbers import NO_INTERVAL, percent
from lightning_mia.utilities.terminal import styled

MAX_ATTACKS = 8
"""Maximum number of attacks listed per level and access; the report has all."""

WIDTH = 80
MAX_NAME = 33
"""Characters of a name; longer ones are shortened in the middle."""

STYLES = {"leak": "red", "no_evidence": "green", "not_assessable": "yellow"}


def print_summary(page: Path) -> None:
    """Print the summary of a run.

    Args:
        page: the report's page.
    """
    report = load_report(page.parent)
    status = report.verdict.status
    verdict = f"verdict: {status}"
    print(summary(report).replace(verdict, styled(verdict, STYLES.get(status, "bold"), sys.stdout), 1))
    print(f"report: {page}")


def summary(report: AuditReport) -> str:
    """Format attacks, controls and verdict as text of 80 columns.

    Attacks are grouped by level and access, the strongest first; the controls of each group's best attack follow, and
    the reason, where a p-value and the verdict seem to disagree. The controls that belong to no attack, such as the
    blind baseline, come last. If a coin decided for each unit, the largest lower bound on ε follows. The verdict is
    followed by what would make another audit say more.
    """
    groups = attack_groups(report)
    best_controls = [_attack_controls(report, group.best) for group in groups]
    rows = [row for group, controls in zip(groups, best_controls, strict=True) for row in (*_listed(group), *controls)]
    attack_controls = [control for attack in report.attacks for control in _attack_controls(report, attack)]
    other_controls = [control for control in report.controls if control not in attack_controls]
    width = min(MAX_NAME, max(len(row.name) for row in (*rows, *other_controls)))
    lines = []
    for group, controls in zip(groups, best_controls, strict=True):
        lines += ["", *_group_lines(group, controls, width, report)]
    for question in dict.fromkeys(control.family.question for control in other_controls):
        of_question = [control for control in other_controls if control.family.question == question]
        lines += ["", *_table(f"controls, {question}", of_question, width)]
    lines += _more(len(attack_controls) - sum(map(len, best_controls)), "control")
    lines += _epsilon_lines(report)
    verdict = f"verdict: {report.verdict.status} – {report.verdict.reason}"
    return "\n".join([*lines, "", *_wrapped(verdict), "", *_suggestions(report)])


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _attack_controls(report: AuditReport, attack: AttackResult) -> list[AttackResult]:
    """Return an attack's results on the control models."""
    results = [report.result(f"{kind}_{attack.name}", attack.level) for kind in CONTROL_KINDS]
    return [control for control in results if control is not None]


def _listed(group: Group) -> list[AttackResult]:
    return [attack for rank, attack in enumerate(group.results) if rank < MAX_ATTACKS or attack is group.best]


def _group_lines(group: Group, controls: Sequence[AttackResult], width: int, report: AuditReport) -> list[str]:
    status = f": {HEADINGS[group.verdict.status]}" if group.verdict else ""
    power = f"; smallest detectable AUROC {group.detectable:.2f}" if group.detectable is not None else ""
    listed = _listed(group)
    table = _table(f"{group.family}{status}", [*listed, *controls], width, f"({'; '.join(group.sizes)}{power})")
    end = len(table) - len(controls)
    notes = _notes("*", "shadow", [attack.n_shadows for attack in listed])
    notes += _notes("+", "reference", [attack.n_references for attack in listed if not attack.n_shadows])
    more = _more(len(group.results) - len(listed), "attack")
    return [*table[:end], *more, *table[end:], *notes, *_reason_lines(group, report)]


def _notes(mark: str, kind: str, numbers: Sequence[int]) -> list[str]:
    """Explain a mark behind results: how many models they rest on."""
    used = sorted({number for number in numbers if number})
    return [f"  {mark}: with {' or '.join(map(str, used))} {kind} model{'s'[: used[-1] > 1]}"] if used else []


def _reason_lines(group: Group, report: AuditReport) -> list[str]:
    """Explain a verdict that the p-value of the group seems to contradict."""
    if not group.verdict or group.verdict.reason in report.verdict.reason:
        return []
    is_significant = min(map(decisive_p_value, group.results)) < ALPHA
    if is_significant == (group.verdict.status == "leak"):
        return []
    return _wrapped(f"why {HEADINGS[group.verdict.status]}: {group.verdict.reason}", "  ")


def _table(title: str, results: Sequence[AttackResult], width: int, sizes: str = "") -> list[str]:
    """Format a heading and one line per result."""
    rates = [rate for result in results if (rate := headline_rate(result.tpr_at_fpr))]
    tpr = f"TPR at {percent(rates[0].fpr)}" if rates else ""
    columns = f"  {'':<{width}}  AUROC  95 % interval   p        {tpr}"
    return [title, *([f"  {sizes}"] if sizes else []), columns.rstrip(), *(_line(result, width) for result in results)]


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


def _more(n: int, noun: str) -> list[str]:
    return [f"  … {n} more {noun}{'' if n == 1 else 's'} in the report"] if n > 0 else []


def _line(result: AttackResult, width: int) -> str:
    lower, upper = result.auroc_ci95
    interval = f"[{lower:.3f}, {upper:.3f}]" if has_interval(result.auroc_ci95) else NO_INTERVAL
    rate = headline_rate(result.tpr_at_fpr)
    return (
        f"  {_shortened(result.name):<{width}}  {result.auroc:.3f}  {interval:14}  {decisive_p_value(result):<7.2g}"
        + (f"  {percent(rate.tpr):>8}" if rate else "")
        + (" *" if result.n_shadows else " +" if result.n_references else "")
    ).rstrip()


def _shortened(name: str) -> str:
    """Shorten a name in the middle.

    >>> _shortened("wrong_model_learned_utterance_similarity")
    'wrong_model_learne…nce_similarity'
    """
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 15]}…{name[-14:]}"
