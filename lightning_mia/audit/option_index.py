"""Index of all options, kept in the cache, so that help and checks need no PyTorch."""

import inspect
import json
import sys
import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root, hash_of, write_text

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

CLASS_OPTIONS = {"model": "models", "data.corpus": "corpora", "data.design": "splits", "attacks": "attacks"}
"""Option that takes a class → package that has its classes."""


@dataclass(frozen=True)
class OptionIndex:
    """Options of a command, and the arguments of the classes they take.

    Attributes:
        options: option without dashes → its choices; empty if it has none.
        open_options: options below which anything may follow, such as `trainer.callbacks`.
        classes: option that takes a class → class → argument → first sentence of its help.

    Example:
        >>> index = OptionIndex({"run_dir": [], "data.level": ["utterance", "speaker"]}, ["model"])
        >>> index.knows("run_dir"), index.knows("model.dim"), index.knows("run_di"), index.is_group("data")
        (True, True, False, True)
    """

    options: Mapping[str, list[str]]
    open_options: list[str] = field(default_factory=list)
    classes: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)

    def knows(self, name: str) -> bool:
        """Test whether an option exists, below classes too."""
        parts = name.split(".")
        above = {".".join(parts[:length]) for length in range(1, len(parts))}
        return name in self.options or bool(above & set(self.open_options))

    def is_group(self, name: str) -> bool:
        """Test whether options begin with this name and a dot."""
        return any(option.startswith(f"{name}.") for option in self.options)


@cache
def source_key() -> str:
    """Hash what the options depend on: sources and libraries.

    Times of change stand for the content, which takes longer to read.
    """
    package = Path(__file__).parents[1]
    sources = [(str(path), path.stat().st_mtime_ns) for path in sorted(package.rglob("*.py"))]
    installed = [(name, version(name)) for name in ("lightning", "torch", "jsonargparse")]
    return hash_of([sys.version, installed, sources])[:16]


def load_index(command: str) -> OptionIndex | None:
    """Read the index of a command; None until the command has run once."""
    with suppress(OSError, ValueError, TypeError, InputError):
        return OptionIndex(**json.loads(_path(command).read_text(encoding="utf-8")))
    return None


def save_index(command: str, parser: "ArgumentParser") -> OptionIndex:
    """Make the index of a command from its parser, and keep it."""
    index = index_of(parser)
    with suppress(OSError, InputError):
        write_text(_path(command), json.dumps(asdict(index)))
    return index


def index_of(parser: "ArgumentParser") -> OptionIndex:
    """List the options of a parser, and the classes that they take."""
    options, open_options = {}, []
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        for name in (option[2:] for option in action.option_strings if option.startswith("--")):
            options[name] = [str(choice) for choice in _choices(hint)]
            if _is_open(hint):
                open_options.append(name)
    return OptionIndex(options, open_options, {option: _classes(package) for option, package in CLASS_OPTIONS.items()})


def _path(command: str) -> Path:
    return cache_root() / "help" / f"{command}-{source_key()}.json"


def _classes(package: str) -> dict[str, dict[str, str]]:
    from importlib import import_module

    from lightning_mia.utilities.parser import class_names

    module = import_module(f"lightning_mia.{package}")
    return {name: _arguments(getattr(module, name)) for name in class_names(package)}


def _arguments(of_class: type) -> dict[str, str]:
    """Describe the arguments of a class; those that take anything below them end in `.`."""
    from lightning_mia.utilities.parser import Parser

    parser = Parser(prog="lightning-mia")
    parser.add_class_arguments(of_class)
    arguments = {}
    for action in parser._actions:
        if action.dest not in ("help", "config") and not action.dest.endswith(".help"):
            arguments[action.dest] = _first_sentence(action.help or "")
            if _is_open(getattr(action, "_typehint", None)):
                arguments[f"{action.dest}."] = ""
    return arguments


def _first_sentence(text: str) -> str:
    sentence = " ".join(text.split()).split(". ")[0].removesuffix(".")
    return sentence.split(" (default: ")[0]


def _choices(hint: Any) -> list[Any]:
    """Return the values of a `Literal`."""
    return list(typing.get_args(hint)) if typing.get_origin(hint) is typing.Literal else []


def _is_open(hint: Any) -> bool:
    """Test whether a type is, or contains, a class or a dictionary."""
    return any(part is dict or (inspect.isclass(part) and part.__module__ != "builtins") for part in _parts(hint))


def _parts(hint: Any) -> Iterable[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    inner = typing.get_args(hint)
    if typing.get_origin(hint) in (None, dict, type):
        yield typing.get_origin(hint) or hint
    elif typing.get_origin(hint) is not typing.Literal:
        for part in inner:
            yield from _parts(part)
