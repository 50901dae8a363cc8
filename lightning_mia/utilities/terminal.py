"""Colour, where a terminal shows it."""

import os
from typing import TextIO

CODES = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}


def styled(text: str, style: str, stream: TextIO) -> str:
    """Colour a text, if the stream is a terminal that shows colour.

    NO_COLOR (https://no-color.org) and TERM=dumb switch colour off.

    >>> import io
    >>> styled("leak", "red", io.StringIO())
    'leak'
    """
    shows = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[{CODES[style]}m{text}\033[0m" if shows else text
