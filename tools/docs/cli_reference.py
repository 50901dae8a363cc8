"""The reference of the command line, made from its parsers."""

import argparse
import re
from unittest.mock import patch

from jsonargparse import ArgumentParser

from lightning_mia import cli
from lightning_mia.audit_cli import COMMANDS, DESCRIPTION

PAGE = "reference/cli.md"
INTRODUCTION = """# Command line

This page is made from the parsers of the commands, so that it says what `--help` says. Options can stand on the
command line or, with the same names, in a YAML file given by `-c` (several files: the later one wins key by key). The
exit status is 0 for every verdict, 2 for bad input, 130 after Ctrl-C.

`lightning-mia COMMAND --print_config` prints all options with their values.
An option that takes a class has a help of its own: `--model.help TERA`, `--data.corpus.help VCTK`,
`--data.design.help SpeakerDesign`.
"""


class _Found(Exception):  # noqa: N818 - what was looked for
    def __init__(self, parser: ArgumentParser) -> None:
        self.parser = parser


def commands() -> list[str]:
    """All commands: those with a model, and those that the help names beside them."""
    return [*COMMANDS, *dict.fromkeys(re.findall(r"lightning-mia (\w+)", DESCRIPTION))]


def parser_of(command: str) -> ArgumentParser:
    """The parser that reads the arguments of a command."""

    def hand_over(self: ArgumentParser, *_: object, **__: object) -> None:
        raise _Found(self)

    with patch.object(ArgumentParser, "parse_args", hand_over):
        try:
            cli._run([command])
        except _Found as found:
            parser = found.parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[command]
    return parser


def section(command: str) -> str:
    """One command: what it does, and its options by group."""
    parser = parser_of(command)
    parts = [f"## {command}", (parser.description or "").strip()]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if actions:
            title = _escape(group.title or "Options").replace("'", "`")
            parts += [f"### {command}: {title}", "\n".join(_row(parser, action) for action in actions)]
    return "\n\n".join(filter(None, parts))


def _row(parser: ArgumentParser, action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    told = " ".join(parser._get_formatter()._expand_help(action).split())
    return f"- {names}: {_escape(told)}" if told else f"- {names}"


def _escape(text: str) -> str:
    return re.sub(r"([*_<>\[\]|])", r"\\\1", text)


def page() -> str:
    """The whole page."""
    return "\n\n".join([INTRODUCTION, *(section(command) for command in commands())]) + "\n"
