"""Completion of commands, options, configs and classes in the shell, by argcomplete."""

import argparse
import os
from collections.abc import Mapping, Sequence

from lightning_mia.audit import configs as shipped
from lightning_mia.audit.option_check import parse
from lightning_mia.audit.option_index import load_index
from lightning_mia.audit.option_types import choices
from lightning_mia.utilities.errors import InputError

REQUEST = "_ARGCOMPLETE"
"""Environment variable by which the shell asks for completions."""


def answer_shell(summaries: Mapping[str, str], steps: Sequence[str]) -> None:
    """Answer the shell if it asks for completions, and end the process.

    Nothing happens without argcomplete (`pip install argcomplete`).

    Args:
        summaries: command → what it does.
        steps: commands that train or attack a model.
    """
    if REQUEST not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    words = os.environ.get("COMP_LINE", "").split()[1:]
    argcomplete.autocomplete(parser_for(words, summaries, steps), always_complete_options="long")


def parser_for(words: Sequence[str], summaries: Mapping[str, str], steps: Sequence[str]) -> argparse.ArgumentParser:
    """Make a parser with the options of the command that is being typed.

    Args:
        words: what has been typed after the program's name.
        summaries: command → what it does.
        steps: commands whose options are in the index.

    Example:
        >>> parser = parser_for(["audit"], {"audit": "Train, attack and report", "report": "Rebuild"}, ["audit"])
        >>> "audit/demo.yaml" in parser.parse_args(["audit", "-c", "audit/demo.yaml"]).config
        True
    """
    root = argparse.ArgumentParser(prog="lightning-mia")
    root.add_argument("--version", action="store_true")
    commands = root.add_subparsers()
    for name, summary in summaries.items():
        command = commands.add_parser(name, help=summary)
        if name not in steps:
            continue
        command.add_argument("-c", "--config", choices=None).completer = _configs  # type: ignore[attr-defined]
        if list(words[:1]) == [name]:
            for option, values in _options(name, words).items():
                command.add_argument(f"--{option}", choices=values or None)
    return root


def _configs(prefix: str, **_: object) -> list[str]:
    """Complete shipped configs, and files."""
    from argcomplete.completers import FilesCompleter

    return [*(name for name in shipped.names() if name.startswith(prefix)), *FilesCompleter()(prefix)]


def _options(command: str, words: Sequence[str]) -> dict[str, list[str]]:
    """List the options of a command, and those of the classes in its config."""
    index = load_index(command)
    if index is None:
        return {}
    options = {name: choices(kind) for name, kind in index.options.items() if not name.endswith(".help")}
    for name in ("config", "help"):
        options.pop(name, None)
    for option, classes in index.classes.items():
        options[option] = list(classes)
    try:
        given = parse([word for word in words if word not in ("-c", "--config") or word != words[-1]])
    except InputError:
        return options
    for option in ("model", "data.corpus", "data.design"):
        arguments = index.classes[option].get(given.class_of(option) or "", {})
        options |= {f"{option}.{name}": choices(kind) for name, (kind, _) in arguments.items()}
    return options
