"""Argument parser: classes by their names, errors in one line."""

import inspect
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, Namespace

from lightning_mia.utilities.errors import InputError, did_you_mean, first_line
from lightning_mia.utilities.parser_messages import in_own_words
from lightning_mia.utilities.yaml_check import check_config, check_yaml

PACKAGE = "lightning_mia"
CLASS_PATH = re.compile(rf"{PACKAGE}(?:\.\w+)*\.[A-Z]\w*")
HOME = re.compile(r"~[\w.-]*(/|$)")  # a home folder, of this user or another
MAX_PLAIN = 1000  # longer values of options are checked like configs
NAMES_OF = {"attacks": "attacks", "model": "models", "corpus": "corpora", "design": "splits"}
"""Option that takes a class → package whose names are listed."""


class OneLineErrors:
    """Mixin for argument parsers: raise `InputError`, and refuse abbreviated options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the message as one line.

        Raises:
            InputError: always.
        """
        explained = explain_class_path(message) or explain_class_name(message)
        options: dict[str, Any] = getattr(self, "_option_string_actions", {})
        prog = re.sub(r" \[options\]", "", getattr(self, "prog", None) or "lightning-mia")
        raise InputError(explained or in_own_words(message, options, prog)) from ex


class Parser(OneLineErrors, ArgumentParser):
    """Parser of a command.

    Example:
        >>> parser = Parser(prog="lightning-mia compare")
        >>> _ = parser.add_argument("--out", type=str, default=".")
        >>> try:
        ...     parser.parse_args(["--to", "R"])
        ... except InputError as error:
        ...     print(error)
        there is no option --to (did you mean --out?); `lightning-mia compare --help` lists the options
    """

    def parse_args(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Parse a command line; a `~` at the start of a path becomes the home folder.

        Raises:
            InputError: an option or a config is invalid.
        """
        check_arguments(args or ())
        try:
            options = super().parse_args(args, **kwargs)
        except (ValueError, RecursionError) as error:  # from PyYAML; errors of options are InputError already
            raise InputError(f"An option has a value that cannot be read: {first_line(error)}") from error
        return with_home(options)

    def parse_object(self, cfg_obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Parse nested options, with classes of this package by name.

        jsonargparse also resolves names, but first compares them with the class of the default, and treats a bare name
        as text.
        """
        options = vars(cfg_obj) if isinstance(cfg_obj, Namespace) else cfg_obj
        defaults = {action.dest: action.default for action in self._actions if isinstance(action.default, dict)}
        class_options = {key for key, default in defaults.items() if "class_path" in default}
        named = {
            key: {"class_path": value} if key in class_options and _is_class(value) else value
            for key, value in options.items()
        }
        return super().parse_object(with_class_paths(named), *args, **kwargs)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the configs and YAML values of a command line.

    Raises:
        InputError: a config or a value is no YAML, or would become too large.
    """
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        name, _, value = argument.partition("=")
        if name in ("-c", "--config"):
            check_config(value or following)
        elif argument.startswith("--") and len(value) > MAX_PLAIN:
            check_yaml(value, name)
        elif not argument.startswith("-") and len(argument) > MAX_PLAIN:
            check_yaml(argument, f"{argument[:20]}…")


def with_home(value: Any) -> Any:
    """Replace `~` at the start of paths in parsed options.

    >>> with_home({"out": "~/r", "text": "a~b"})["text"]
    'a~b'
    """
    if isinstance(value, str):
        return os.path.expanduser(value) if HOME.match(value) else value
    if isinstance(value, list):
        return [with_home(item) for item in value]
    if isinstance(value, dict):
        return {key: with_home(item) for key, item in value.items()}
    if isinstance(value, Namespace):
        return Namespace(**{key: with_home(item) for key, item in vars(value).items()})
    return value


def with_class_paths(options: Any) -> Any:
    """Expand class names to class paths in JSON-like options.

    Only the values of `class_path` that name a class of this package change.

    >>> with_class_paths({"error": {"class_path": "InputError"}, "other": {"class_path": "NoSuchClass"}})
    {'error': {'class_path': 'lightning_mia.InputError'}, 'other': {'class_path': 'NoSuchClass'}}
    """
    if isinstance(options, list):
        return [with_class_paths(item) for item in options]
    if isinstance(options, Namespace):
        return Namespace(**with_class_paths(vars(options)))
    if not isinstance(options, dict):
        return options
    named = {key: with_class_paths(value) for key, value in options.items()}
    name = named.get("class_path")
    if not isinstance(name, str) or "." in name or len(classes := _classes(name)) != 1:
        return named
    module = PACKAGE if getattr(sys.modules[PACKAGE], name, None) is classes[0] else classes[0].__module__
    return {**named, "class_path": f"{module}.{name}"}


def explain_class_path(message: str) -> str | None:
    """Explain the first class path that cannot be imported.

    Only paths of this package count. Class paths change when modules move; class names do not. In a config of an
    earlier version, write the names alone.

    Args:
        message: error of an argument parser.

    Returns:
        One line, or None if every class path in the message can be imported.

    >>> explain_class_path("Problem with given class_path 'lightning_mia.nowhere.InputError'")
    'lightning_mia.nowhere.InputError has moved: write InputError'
    >>> explain_class_path("Problem with given class_path 'lightning_mia.utilities.errors.InputError'")
    """
    for path in dict.fromkeys(CLASS_PATH.findall(message)):
        name = path.rpartition(".")[2]
        if not _can_be_imported(path):
            if _classes(name):
                return f"{path} has moved: write {name}"
            return f"{path} does not exist, and {PACKAGE} has no class {name}; check the spelling"
    return None


def explain_class_name(message: str) -> str | None:
    """Explain a class name that nothing has, with the names that could be meant.

    Args:
        message: error of an argument parser.

    Returns:
        One line, or None if the message is about something else.

    >>> explain_class_name('Parser key "signal": Expected a dot import path string: LIRA')
    'signal: there is no class LIRA; check the spelling'
    """
    unknown = re.search(r"Expected a dot import path string: (\w+)", message)
    if not unknown:
        return None
    keys = re.findall(r'Parser key "([\w.]+)"', message) or ["the option"]
    names = class_names(NAMES_OF.get(keys[-1].rpartition(".")[2], ""))
    return no_such_class(keys[-1], unknown[1], names)


def no_such_class(option: str, name: str, names: Sequence[str]) -> str:
    """Explain that no class has this name.

    >>> no_such_class("model", "TERRA", ["CPC", "TERA"])
    'model: there is no class TERRA (did you mean TERA?); the names are CPC, TERA'
    """
    listed = f"the names are {', '.join(names)}" if names else "check the spelling"
    return f"{option}: there is no class {name}{did_you_mean(name, names)}; {listed}"


def class_names(package: str) -> list[str]:
    """List the public, concrete classes of a loaded package."""
    module = sys.modules.get(f"{PACKAGE}.{package}")
    items = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    classes = {name: item for name, item in items.items() if inspect.isclass(item)}
    bases = tuple(item for item in classes.values() if inspect.isabstract(item))
    return sorted(name for name, item in classes.items() if issubclass(item, bases) and item not in bases)


def _can_be_imported(path: str) -> bool:
    module, _, name = path.rpartition(".")
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def _is_class(value: Any) -> bool:
    """Test whether a value names a class of this package."""
    return isinstance(value, str) and bool(CLASS_PATH.fullmatch(value) or (value.isidentifier() and _classes(value)))


def _classes(name: str) -> list[type]:
    """Find the loaded classes of this package by name."""
    modules = [module for path, module in list(sys.modules.items()) if path.split(".")[0] == PACKAGE]
    named = {getattr(module, name, None) for module in modules}
    return [item for item in named if inspect.isclass(item) and item.__module__.split(".")[0] == PACKAGE]
