"""Reference of the command line, generated from its parsers."""

import argparse
import re
from unittest.mock import patch

from jsonargparse import ArgumentParser

from lightning_mia.audit import cli
from lightning_mia.audit.commands import COMMANDS

PAGE = "reference/cli.md"
WHOLE = "audit"  # the command that uses every group of options
NOT_USED = "not used"  # how a docstring begins the help of what one command takes for another's sake
CLASSES = re.compile(r", known subclasses: [^()]*")  # the API reference has them
INTRODUCTION = """# Command line

This page is generated from the parsers of the commands and shows the same text as `--help`. Options can be given on
the command line or, with the same names, in a YAML file after `-c` (of several files, later ones override earlier ones
key by key). The exit status is 0 for every verdict, 2 for bad input, 130 after Ctrl-C.

`lightning-mia COMMAND --print_config` prints all options with their values. An option that takes a class has separate
help: `--model.help TERA`, `--data.corpus.help VCTK`, `--data.design.help SpeakerDesign`.
"""
SHARED = """## Options of these commands

All commands with a model accept the same options, so that one config works with each; a command ignores those that it
does not use.
"""


class _Found(Exception):  # noqa: N818 - what was looked for
    def __init__(self, parser: ArgumentParser) -> None:
        self.parser = parser


def commands() -> list[str]:
    """All commands, those with a model first."""
    return list(cli.COMMANDS)


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


def page() -> str:
    """The whole page: each command with its own options, and once what those with a model share."""
    of_command = {command: parser_of(command) for command in commands()}
    shared = _shared_groups(of_command[WHOLE])
    parts = [INTRODUCTION]
    for command in COMMANDS:
        parts += [f"## {command}", _about(of_command[command]), _own_options(of_command[command])]
        used = [name for name, groups in _shared_groups(of_command[command]).items() if not _is_unused(groups[0])]
        parts.append("Shared: " + ", ".join(f"[`--{name}`](#{name})" for name in used) + ".")
    parts.append(SHARED)
    for name, groups in shared.items():
        parts += [f"### {name} {{#{name}}}", f"{_escape(groups[0].title or '')}."]
        parts += [_list(of_command[WHOLE], group) for group in groups]
    for command in commands()[len(COMMANDS) :]:
        parser = of_command[command]
        parts += [f"## {command}", _about(parser), *(_list(parser, group) for group in parser._action_groups)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _about(parser: ArgumentParser) -> str:
    return (parser.description or "").strip()


def _shared_groups(parser: ArgumentParser) -> dict[str, list[argparse._ArgumentGroup]]:
    """Groups whose options all begin with one name and a dot, by that name: those of `--trainer.…`."""
    found: dict[str, list[argparse._ArgumentGroup]] = {}
    for group in parser._action_groups:
        names = {action.dest.split(".")[0] for action in group._group_actions}
        if len(names) == 1 and any("." in action.dest for action in group._group_actions):
            found.setdefault(names.pop(), []).append(group)
    return found


def _is_unused(group: argparse._ArgumentGroup) -> bool:
    return (group.title or "").startswith(NOT_USED)


def _own_options(parser: ArgumentParser) -> str:
    shared = [group for groups in _shared_groups(parser).values() for group in groups]
    own = [group for group in parser._action_groups if not any(group is other for other in shared)]
    return "\n".join(filter(None, (_list(parser, group) for group in own)))


def _list(parser: ArgumentParser, group: argparse._ArgumentGroup) -> str:
    """One line an option."""
    return "\n".join(_line(parser, action) for action in group._group_actions if _is_told(action))


def _is_told(action: argparse.Action) -> bool:
    """Not what is hidden or not used, nor the ways to ask for help on a class or to give a part by a file."""
    told = action.help or ""
    silent = (
        action.dest == "help"
        or told == argparse.SUPPRESS
        or told.startswith((NOT_USED, "Path to a configuration file."))
    )
    return not silent and not any(name.endswith(".help") for name in action.option_strings)


def _line(parser: ArgumentParser, action: argparse.Action) -> str:
    names = [name for name in action.option_strings if not name.endswith("+")]
    named = ", ".join(f"`{name}`" for name in names) or f"`{action.metavar or action.dest}`"
    told = CLASSES.sub("", " ".join(parser._get_formatter()._expand_help(action).split()))
    return f"- {named}: {_escape(told)}" if told else f"- {named}"


def _escape(text: str) -> str:
    """Markdown that shows the text as it is, but for what stands in backticks."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if place % 2 else re.sub(r"([*_<>\[\]|])", r"\\\1", part) for place, part in enumerate(parts))
