"""Invalid input, reported without a traceback.

Any other exception is a bug and keeps its traceback.
"""


class InputError(Exception):
    """Invalid option, config, file or recording.

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
