"""What the user can mend is an `InputError`; everything else is our own bug and keeps its traceback."""

from typing import NoReturn


class InputError(Exception):
    """Something that the user brought cannot be used.

    The message is one line and says what is wrong, where (file and row), and how to mend it.
    The command line prints it alone, without a traceback, and exits with status 2.
    """


def list_first(items: list[str], limit: int = 5) -> str:
    """Name the first few of many bad things, and say how many more there are.

    >>> list_first(["a", "b"])
    'a; b'
    >>> list_first(["a", "b", "c"], limit=2)
    'a; b; and 1 more'
    """
    shown = "; ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown}; and {len(items) - limit} more"


class OneLineErrors:
    """Makes an argument parser raise an `InputError` instead of printing its usage and exiting."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise `message` as one line."""
        raise InputError(" ".join(message.split())) from ex
