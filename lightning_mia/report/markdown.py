"""`report.md`: what the page says, as Markdown that a code forge shows; without figures."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content import wording
from lightning_mia.report.content.breakdown import ALPHA, speaker_notes
from lightning_mia.report.content.groups import Group, attack_groups, control_groups, headline_rate
from lightning_mia.report.content.key_numbers import key_numbers
from lightning_mia.report.content.numbers import count, decimal, interval, p_value, percent, percent_interval, signed
from lightning_mia.report.content.protocol import limits, protocol
from lightning_mia.report.content.utility import utility_note, utility_rows

MAX_SPEAKERS = 100
"""Speakers in the table, as on the page."""


def render_markdown(report: AuditReport, names: Mapping[str, str] | None = None) -> str:
    """Return the report as Markdown.

    Args:
        report: what there is to say.
        names: pseudonym → name of the speakers; None: it shows none.
    """
    sections = (
        _first_screen(report),
        _attacks(report),
        _controls(report),
        _speakers(report, names or {}),
        _slices(report),
        _utility(report),
        _left_out(report),
        _protocol(report),
        _terms(),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A Markdown table; columns after the first `words` are set to the right.

    >>> print("\\n".join(table(["attack", "AUROC"], [["a|b", "0.5"]])).strip())
    | attack | AUROC |
    |---|--:|
    | a\\|b | 0.5 |
    """
    rule = "".join("|---" if place < words else "|--:" for place in range(len(headings))) + "|"
    return [_row(headings), rule, *(_row(row) for row in rows), ""]


def escaped(text: str) -> str:
    """Text in which nothing is markup.

    >>> escaped("my_model <b>")
    'my\\\\_model &lt;b>'
    """
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in cells) + " |"


def _first_screen(report: AuditReport) -> Iterator[str]:
    headlines, meanings = (
        (wording.HEADLINES, wording.MEANINGS) if report.target else (wording.BLIND_HEADLINES, wording.BLIND_MEANINGS)
    )
    status, split = report.verdict.status, report.split
    yield from (f"# {headlines[status]}", "", escaped(report.verdict.reason), "")
    yield from (f"- **{one.number}** {escaped(one.label)}: {escaped(one.detail)}" for one in key_numbers(report))
    yield ""
    if report.target:
        yield (
            f"Audited: {escaped(report.target.family)}, {count(report.target.parameters)} parameters, checkpoint "
            f"`{report.target.checkpoint_sha256[:12]}`, on {count(split.n_members)} members and "
            f"{count(split.n_nonmembers)} non-members at {split.level} level, {count(split.n_speakers)} speakers."
        )
    else:
        yield (
            f"Checked: {count(split.n_members)} members and {count(split.n_nonmembers)} non-members at {split.level} "
            f"level, {count(split.n_speakers)} speakers; no model was asked."
        )
    yield from ("", f"**What this means.** {meanings[status][0]}", "")
    yield from (f"**Limits: what it does not mean.** {' '.join([meanings[status][1], *limits(report)])}", "")
    verdicts = [
        [f"{one.level} level", one.access, headlines[one.status], escaped(one.reason)]
        for one in report.verdict.by_level_and_access
    ]
    if verdicts:
        yield from table(["level", "access", "verdict", "reason"], verdicts, words=4)
    yield from (f"> {escaped(note)}\n" for note in report.notes)


def _attacks(report: AuditReport) -> Iterator[str]:
    if not report.attacks:
        return
    yield from ("## Attacks", "")
    yield from ("² two-sided: the sign is not known beforehand. † fewer than 10 non-members would decide it.", "")
    for group in attack_groups(report):
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    yield from (f"### {group.level.capitalize()} level, {group.access} ({'; '.join(group.sizes)})", "")
    headings = ["attack", "AUROC", "95 % interval", "corrected p", "beyond wrong model", "TPR at FPR 1 %", "interval"]
    yield from table(
        [*headings, "FPR realised", "advantage (by chance)", "shadow models", "queries"],
        [_attack(one) for one in group.results],
    )


def _attack(one: AttackResult) -> list[str]:
    rate, wrong = headline_rate(one.tpr_at_fpr), one.versus_wrong_model
    p = one.p_value if one.p_value_corrected is None else one.p_value_corrected
    return [
        escaped(one.name),
        decimal(one.auroc),
        interval(one.auroc_ci95),
        p_value(p) + ("²" if one.two_sided else ""),
        f"{signed(wrong.value)} (≥ {signed(wrong.lower95)})" if wrong else "–",
        f"{percent(rate.tpr)}{'' if rate.resolvable else '†'}" if rate else "–",
        percent_interval(rate.tpr_ci95) if rate else "–",
        percent(rate.achieved_fpr) if rate else "–",
        f"{decimal(one.advantage, 2)} ({decimal(one.advantage_null_mean, 2)})",
        count(one.n_shadows),
        count(one.queries),
    ]


def _controls(report: AuditReport) -> Iterator[str]:
    if not report.controls:
        return
    yield from ("## Controls", "", "What must not tell members from non-members.", "")
    yield from table(
        ["control", "level", "AUROC", "95 % interval", "p", "advantage (by chance)"],
        [
            [
                escaped(one.name),
                one.level,
                decimal(one.auroc),
                interval(one.auroc_ci95),
                p_value(one.p_value),
                f"{decimal(one.advantage, 2)} ({decimal(one.advantage_null_mean, 2)})",
            ]
            for group in control_groups(report)
            for one in group.featured
        ],
        words=2,
    )


def _speakers(report: AuditReport, names: Mapping[str, str]) -> Iterator[str]:
    risks = report.speaker_risks
    if risks is None:
        return
    yield from ("## Speakers", "", f"By {escaped(risks.attack)}, the attack that carries the verdict.", "")
    yield from (" ".join(speaker_notes(risks)), "")
    rows = [
        [
            escaped(names.get(one.speaker, one.speaker)) + (" **found**" if one.p_value_corrected < ALPHA else ""),
            decimal(one.auroc),
            interval(one.auroc_ci95, 2),
            decimal(one.auroc_own),
            f"{count(one.n_found)} of {count(one.n_members)}",
            count(one.n_nonmembers),
            p_value(one.p_value_corrected),
            p_value(one.p_value),
        ]
        for one in risks.speakers[:MAX_SPEAKERS]
    ]
    if rows:
        found = f"found at FPR {percent(risks.speakers[0].fpr)}"
        headings = ["speaker", "AUROC", "95 % interval", "against own non-members", found]
        yield from table([*headings, "own non-members", "corrected p", "p"], rows)


def _slices(report: AuditReport) -> Iterator[str]:
    if not report.slices:
        return
    yield from ("## Slices", "", "The same attack on parts of the challenge set, intervals over their speakers.", "")
    yield from table(
        ["by", "part", "AUROC", "95 % interval", "members", "non-members", "speakers"],
        [
            [
                one.by,
                escaped(one.value) or "not known",
                "too small" if one.auroc is None else decimal(one.auroc),
                interval(one.auroc_ci95),
                count(one.n_members),
                count(one.n_nonmembers),
                count(one.n_speakers),
            ]
            for one in report.slices
        ],
        words=2,
    )


def _utility(report: AuditReport) -> Iterator[str]:
    if report.utility is None:
        return
    yield from ("## Utility", "", utility_note(report.utility), "")
    rows = [[row.what, row.target, row.untrained] for row in utility_rows(report.utility)]
    yield from table(["what the model can do", "target", "untrained"], rows)


def _left_out(report: AuditReport) -> Iterator[str]:
    if report.skipped:
        yield from ("## Left out", "")
        reasons = Counter(recording.reason for recording in report.skipped)
        yield from (f"- {count(n)}: {escaped(reason)}" for reason, n in reasons.most_common())
        yield ""


def _protocol(report: AuditReport) -> Iterator[str]:
    yield from ("## Protocol", "")
    for heading, text in protocol(report):
        yield from (f"**{heading}.** {escaped(text)}", "")
    if report.provenance.command:
        yield from ("To have it again:", "", "```", report.provenance.command.replace("```", "'''"), "```", "")
    if report.provenance.hashes:
        rows = [[escaped(name), f"`{value}`"] for name, value in report.provenance.hashes.items()]
        yield from table(["SHA-256 of", "is"], rows, words=2)


def _terms() -> Iterator[str]:
    yield from ("## Terms", "")
    yield from (f"- **{escaped(term)}**: {escaped(meaning)}" for term, meaning in wording.GLOSSARY)
