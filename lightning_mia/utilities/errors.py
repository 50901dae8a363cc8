"""Invalid input, reported in one line; any other exception is a bug and keeps its traceback."""

import inspect
import re
import sys
from importlib import import_module
from typing import NoReturn

DOTTED_PATH = re.compile(r"lightning_mia(?:\.\w+)+")


class InputError(Exception):
    """Invalid input: an option, a config, a file or a recording.

    The message is one line: what is wrong, where (file and row), and how to fix it. The command line prints it without
    a traceback and exits with status 2.

    Example:
        >>> str(InputError("M.csv, line 3: no speaker; fill in the column `speaker`"))
        'M.csv, line 3: no speaker; fill in the column `speaker`'
    """


def list_first(items: list[str], limit: int = 5) -> str:
    """List the first items and count the rest.

    >>> list_first(["a", "b"])
    'a; b'
    >>> list_first(["a", "b", "c"], limit=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown}; and {len(items) - limit} more"


class OneLineErrors:
    """Mixin for argument parsers: raise `InputError` instead of printing the usage and exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the message as one line.

        Raises:
            InputError: always.
        """
        raise InputError(explain_class_path(message) or " ".join(message.split())) from ex


def explain_class_path(message: str) -> str | None:
    """Explain the first class path of this package that cannot be imported.

    Class paths change when modules move, class names do not: a config from an earlier version needs the name alone.

    Args:
        message: error of an argument parser.

    Returns:
        One line, or None if every class path in the message can be imported.

    >>> explain_class_path("Problem with given class_path 'lightning_mia.nowhere.Manifest'")
    'lightning_mia.nowhere.Manifest has moved: write Manifest'
    >>> explain_class_path("Problem with given class_path 'lightning_mia.corpora.Manifest'")
    """
    for path in dict.fromkeys(DOTTED_PATH.findall(message)):
        name = path.rpartition(".")[2]
        if name[0].isupper() and not _can_be_imported(path):
            if _is_class(name):
                return f"{path} has moved: write {name}"
            return f"{path} does not exist, and lightning_mia has no class {name}; check the spelling"
    return None


def _can_be_imported(path: str) -> bool:
    module, _, name = path.rpartition(".")
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False


def _is_class(name: str) -> bool:
    """Whether a loaded module of the package has a class of this name."""
    modules = [module for path, module in list(sys.modules.items()) if path.split(".")[0] == "lightning_mia"]
    return any(inspect.isclass(getattr(module, name, None)) for module in modules)
