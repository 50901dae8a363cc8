"""What was audited: title, model, corpus, config."""

import shlex
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import PurePath

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.content.numbers import count

Fact = tuple[str, str]  # name and value

CONFIG_OPTIONS = ("-c", "--config")
ORIGIN = "# Options of: "
"""Beginning of all options of a run; the command follows."""


def subject(report: AuditReport) -> tuple[Fact, ...]:
    """Return names and values, omitting unknown facts."""
    facts = (
        ("By", report.by),
        ("Model", _model(report)),
        ("Epochs", _epochs(report)),
        ("Corpus", report.corpus),
        ("Config", ", ".join(configs(_first_command(report)))),
        ("Scored", report.provenance.created[:10]),
    )
    return tuple((name, value) for name, value in facts if value)


def _first_command(report: AuditReport) -> str:
    """Return the command with the configs that were given, and not with that which the run has written."""
    first = report.config_yaml.partition("\n")[0]
    return first.removeprefix(ORIGIN) if first.startswith(ORIGIN) else report.provenance.command


def configs(command: str) -> tuple[str, ...]:
    """Return the config files of a command, without folders.

    >>> configs("lightning-mia audit -c audit/tera.yaml --config=more.yaml --run_dir R")
    ('tera.yaml', 'more.yaml')
    """
    return tuple(dict.fromkeys(PurePath(name.replace("\\", "/")).name for name in _options(command)))


def _options(command: str) -> Iterator[str]:
    try:
        words = shlex.split(command)
    except ValueError:  # a command that was cut or edited
        return
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name in CONFIG_OPTIONS and (value if equals else following):
            yield value if equals else following


def _model(report: AuditReport) -> str:
    if report.target is None:
        return ""
    return f"{report.target.family}, {count(report.target.parameters)} parameters"


def _epochs(report: AuditReport) -> str:
    target = next((model for model in report.provenance.models if model.name == "target"), None)
    return "" if target is None or not target.epochs else count(target.epochs)
