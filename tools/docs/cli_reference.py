"""Command-line reference, generated from the parsers."""

import argparse
import re
from unittest.mock import patch

from jsonargparse import ArgumentParser

from lightning_mia.audit import cli
from lightning_mia.audit.commands import COMMANDS

PAGE = "reference/cli.md"
COMPLETE = "audit"  # the command with every group of options
SUBCLASSES = re.compile(r", known subclasses: [^()]*")  # listed in the API reference
INTRODUCTION = """# Command line

This page is generated from the parsers, so it agrees with `--help`. Give options on the command line or, under the
same names, in a YAML file (`-c FILE`; if you give several files, later ones override earlier ones key by key). The exit
status is 0 for every verdict, 2 for invalid input, and 130 after Ctrl-C.

`lightning-mia COMMAND --print_config` prints all options with their values. Options that take a class have a separate
help: `--model.help TERA`, `--data.corpus.help VCTK`, `--data.design.help SpeakerDesign`.
"""
SHARED = """## Shared options

The commands that take a model share these options, so one config file serves all of them. Each command ignores the
options it does not use.
"""


class _ParserFound(Exception):  # noqa: N818 - carries the parser, reports no error
    def __init__(self, parser: ArgumentParser) -> None:
        self.parser = parser


def commands() -> list[str]:
    """List all commands, those with a model first."""
    return list(cli.COMMANDS)


def command_parser(command: str) -> ArgumentParser:
    """Get the parser of a command."""

    def stop(self: ArgumentParser, *_: object, **__: object) -> None:
        raise _ParserFound(self)

    # The command line builds its parsers on the way to `parse_args`; stop it there.
    with patch.object(ArgumentParser, "parse_args", stop):
        try:
            cli._run([command, "--print_config"] if command in COMMANDS else [command])
        except _ParserFound as result:
            parser = result.parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices[command]
    return parser


def page() -> str:
    """Make the page: options per command, then the shared ones."""
    parsers = {command: command_parser(command) for command in commands()}
    parts = [INTRODUCTION]
    for command in COMMANDS:
        parts += [f"## {command}", _description(parsers[command]), _own_options(parsers[command])]
        links = (f"[`--{name}`](#{name})" for name in _shared_groups(parsers[command]))
        parts.append("Shared: " + ", ".join(links) + ".")
    parts.append(SHARED)
    for name, groups in _shared_groups(parsers[COMPLETE]).items():
        parts += [f"### {name} {{#{name}}}", f"{_escape(groups[0].title or '')}."]
        parts += [_list(parsers[COMPLETE], group) for group in groups]
    for command in commands()[len(COMMANDS) :]:
        parser = parsers[command]
        parts += [f"## {command}", _description(parser), *(_list(parser, group) for group in parser._action_groups)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _description(parser: ArgumentParser) -> str:
    return (parser.description or "").strip()


def _shared_groups(parser: ArgumentParser) -> dict[str, list[argparse._ArgumentGroup]]:
    """Collect groups by common prefix, such as `--trainer.…`."""
    shared: dict[str, list[argparse._ArgumentGroup]] = {}
    for group in parser._action_groups:
        prefixes = {action.dest.split(".")[0] for action in group._group_actions}
        if len(prefixes) == 1 and any("." in action.dest for action in group._group_actions):
            shared.setdefault(prefixes.pop(), []).append(group)
    return shared


def _own_options(parser: ArgumentParser) -> str:
    shared = [group for groups in _shared_groups(parser).values() for group in groups]
    own = [group for group in parser._action_groups if not any(group is other for other in shared)]
    return "\n".join(filter(None, (_list(parser, group) for group in own)))


def _list(parser: ArgumentParser, group: argparse._ArgumentGroup) -> str:
    """List the options of a group, one per line."""
    return "\n".join(_line(parser, action) for action in group._group_actions if _is_shown(action))


def _is_shown(action: argparse.Action) -> bool:
    """Exclude hidden options, class help, and config file options."""
    text = action.help or ""
    hidden = action.dest == "help" or text == argparse.SUPPRESS or text.startswith("Path to a configuration file.")
    return not hidden and not any(name.endswith(".help") for name in action.option_strings)


def _line(parser: ArgumentParser, action: argparse.Action) -> str:
    names = [name for name in action.option_strings if not name.endswith("+")]
    label = ", ".join(f"`{name}`" for name in names) or f"`{action.metavar or action.dest}`"
    text = SUBCLASSES.sub("", " ".join(parser._get_formatter()._expand_help(action).split()))
    return f"- {label}: {_escape(text)}" if text else f"- {label}"


def _escape(text: str) -> str:
    """Escape Markdown outside backticks."""
    parts = text.replace("``", "`").split("`")
    return "`".join(part if index % 2 else re.sub(r"([*_<>\[\]|])", r"\\\1", part) for index, part in enumerate(parts))
