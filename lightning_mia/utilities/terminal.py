"""What a terminal can show: colour, and progress bars or lines."""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}
SECONDS_BETWEEN_LINES = 30.0
"""Time between two lines of progress where the output is no terminal."""


def styled(text: str, style: str, stream: TextIO) -> str:
    """Colour a text, if the stream is a terminal that shows colour.

    NO_COLOR (https://no-color.org) and TERM=dumb switch colour off.

    >>> import io
    >>> styled("leak", "red", io.StringIO())
    'leak'
    """
    shows = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[{CODES[style]}m{text}\033[0m" if shows else text


def progress_bar(*arguments: Any, **options: Any) -> Any:
    """Make a progress bar; without a terminal, it prints a line every 30 s.

    Notebooks get the bar of their own.

    Args:
        arguments: positional arguments of tqdm.
        options: options of tqdm.
    """
    from tqdm.auto import tqdm

    stream = options.get("file") or sys.stderr
    if tqdm.__module__.endswith("notebook") or stream.isatty():
        return tqdm(*arguments, **options)
    return _line_printer()(*arguments, **options)


def _line_printer() -> Any:
    from tqdm import tqdm

    class ProgressLines(tqdm):
        """A bar whose states are lines of a log."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            options |= {"mininterval": SECONDS_BETWEEN_LINES, "maxinterval": 2 * SECONDS_BETWEEN_LINES}
            options |= {"miniters": 1, "ncols": 79, "dynamic_ncols": False, "ascii": True, "leave": True}
            options["delay"] = max(options.get("delay", 0), SECONDS_BETWEEN_LINES)  # short work prints nothing
            options.setdefault("file", sys.stderr)
            super().__init__(*arguments, **options)

        @staticmethod
        def status_printer(file: Any) -> Callable[[str], None]:
            def print_line(text: str) -> None:
                if text.strip():
                    file.write(f"{text.strip()}\n")
                    file.flush()

            return print_line

        def moveto(self, n: int) -> None:
            """Stay on the line: nothing moves up in a log."""

    return ProgressLines
