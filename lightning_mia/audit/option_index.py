"""Index of all options, so that help and checks need no PyTorch.

It comes with the package, and is made anew in the cache where it does not apply.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_mia.audit.option_types import KEYS, Description, describe, is_open
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root, hash_of, write_text

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

PACKAGE = Path(__file__).parents[1]
SHIPPED = Path(__file__).with_name("option_index.json")
"""Index for the Lightning version that it names; `python -m tools.docs.option_index` writes it."""

NEWER_SECONDS = 600
"""Sources that are newer than the shipped index by more than this have been edited since."""

CLASS_OPTIONS = {"model": "models", "data.corpus": "corpora", "data.design": "splits", "attacks": "attacks"}
"""Option that takes a class → package that has its classes."""

Arguments = Mapping[str, tuple[Description, str]]
"""Argument of a class → its type, and the first sentence of its help."""


@dataclass(frozen=True)
class OptionIndex:
    """Options of a command, and the arguments of the classes they take.

    Attributes:
        options: option without dashes → its type; None for groups.
        classes: option that takes a class → class → its arguments.

    Example:
        >>> index = OptionIndex({"run_dir": "str", "data.level": {"one_of": ["utterance"]}, "model": "object"})
        >>> index.knows("run_dir"), index.knows("model.dim"), index.knows("run_di"), index.is_group("data")
        (True, True, False, True)
    """

    options: Mapping[str, Description]
    classes: Mapping[str, Mapping[str, Arguments]] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Test whether an option exists, below classes too."""
        parts = name.split(".")
        above = (".".join(parts[:length]) for length in range(1, len(parts)))
        return name in self.options or any(map(self.is_open, above))

    def is_open(self, name: str) -> bool:
        """Test whether anything may follow below this option."""
        return is_open(self.options.get(name))

    def is_group(self, name: str) -> bool:
        """Test whether options begin with this name and a dot."""
        return any(option.startswith(f"{name}.") for option in self.options)


@cache
def source_key() -> str:
    """Hash what the options depend on: sources and libraries.

    Times of change stand for the content, which takes longer to read.
    """
    installed = [(name, version(name)) for name in ("lightning", "torch", "jsonargparse")]
    return hash_of([sys.version, installed, _times()])[:16]


@cache
def _times() -> list[tuple[str, int]]:
    """Return the sources with their times of change."""
    return [(str(path), path.stat().st_mtime_ns) for path in sorted(PACKAGE.rglob("*.py"))]


def load_index(command: str) -> OptionIndex | None:
    """Read the index of a command.

    Returns:
        The index of the cache or of the package; None if neither applies, until the command has run once.
    """
    with suppress(OSError, ValueError, TypeError, InputError):
        return OptionIndex(**json.loads(_path(command).read_text(encoding="utf-8")))
    with suppress(OSError, ValueError, TypeError, KeyError):
        return _shipped(command)
    return None


def _shipped(command: str) -> OptionIndex | None:
    """Read the index of the package; None if it is not that of these sources and libraries."""
    newest = max(time for _, time in _times()) / 1e9
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    if content["lightning"] != version("lightning") or newest > SHIPPED.stat().st_mtime + NEWER_SECONDS:
        return None
    lacking = content["lacking"][command]
    options = {name: kind for name, kind in content["options"].items() if name not in lacking}
    return OptionIndex(options, content["classes"])


def save_index(command: str, parser: "ArgumentParser") -> OptionIndex:
    """Make the index of a command from its parser, and keep it."""
    index = index_of(parser)
    with suppress(OSError, InputError):
        write_text(_path(command), json.dumps(asdict(index)))
    return index


def shippable(indices: Mapping[str, OptionIndex]) -> str:
    """Join the indices of all commands, which hardly differ.

    Args:
        indices: command → index.

    Returns:
        The content of `SHIPPED`, one option or argument per line.
    """
    options = {name: kind for index in indices.values() for name, kind in index.options.items()}
    lacking = {command: [name for name in options if name not in index.options] for command, index in indices.items()}
    classes = next(iter(indices.values())).classes
    content = {"lightning": version("lightning"), "lacking": lacking, "options": options, "classes": classes}
    return _lines(content) + "\n"


def _lines(content: Any) -> str:
    """Write JSON with one entry per line; types stay on their line."""
    if not isinstance(content, Mapping) or not content or KEYS & content.keys():
        return json.dumps(content, ensure_ascii=False)
    entries = [f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(entries) + "\n}"


def index_of(parser: "ArgumentParser") -> OptionIndex:
    """List the options of a parser, and the classes that they take."""
    options = {
        name.removeprefix("--"): describe(getattr(action, "_typehint", None))
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--") and not name.endswith("+")
    }
    return OptionIndex(options, {option: _classes(package) for option, package in CLASS_OPTIONS.items()})


def _path(command: str) -> Path:
    return cache_root() / "help" / f"{command}-{source_key()}.json"


def _classes(package: str) -> dict[str, Arguments]:
    from importlib import import_module

    from lightning_mia.utilities.parser import class_names

    module = import_module(f"lightning_mia.{package}")
    return {name: _arguments(getattr(module, name)) for name in class_names(package)}


def _arguments(of_class: type) -> Arguments:
    """Describe the arguments of a class."""
    from lightning_mia.utilities.parser import Parser

    parser = Parser(prog="lightning-mia")
    parser.add_class_arguments(of_class)
    return {
        action.dest: (describe(getattr(action, "_typehint", None)), _first_sentence(action.help or ""))
        for action in parser._actions
        if action.dest not in ("help", "config") and not action.dest.endswith(".help")
    }


def _first_sentence(text: str) -> str:
    sentence = " ".join(text.split()).split(". ")[0].removesuffix(".")
    return sentence.split(" (default: ")[0]
