"""Errors of the user, as opposed to bugs, which keep their traceback."""

from typing import NoReturn


class InputError(Exception):
    """A user-supplied file, option or argument cannot be used.

    The message is one line: what is wrong, where (file and row), and how to fix it. The command line prints it without
    a traceback and exits with status 2.

    Example:
        >>> raise InputError("manifest.csv, row 3: no speaker; fill in the column speaker")
        Traceback (most recent call last):
        ...
        lightning_mia.utilities.errors.InputError: manifest.csv, row 3: no speaker; fill in the column speaker
    """


def list_first(items: list[str], limit: int = 5) -> str:
    """List the first few of many items, and count the others.

    >>> list_first(["a", "b"])
    'a; b'
    >>> list_first(["a", "b", "c"], limit=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown}; and {len(items) - limit} more"


class OneLineErrors:
    """Mixin that makes an argument parser raise `InputError` instead of exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `InputError` with the message on one line."""
        raise InputError(" ".join(message.split())) from ex
