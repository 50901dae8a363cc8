"""Text of utterance tables: one form of every name, and files found under either form."""

import os
import re
import unicodedata
from numbers import Real

INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff"))
"""Characters without width, which copying from web pages and spreadsheets leaves in names."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Halves of surrogate pairs, which no UTF-8 text holds."""

CONTROL_CHARACTERS = {
    "name": re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]|^="),  # break lines of our files; begin a formula
    "path": re.compile("[\x00-\x1f]"),
    "text": re.compile("\x00"),
}
"""What columns of names, paths and transcripts must not hold."""


def printable(path: str) -> str:
    r"""Return a path as text that any file can hold.

    >>> printable("caf\udce9.wav")
    'caf\\xe9.wav'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace") if has_surrogates(path) else path


def has_surrogates(text: str) -> bool:
    """Check for halves of surrogate pairs."""
    return bool(SURROGATE.search(text))


class NotTextError(Exception):
    """Raised for values that are no text; the message names their type."""


def as_text(value: object) -> str:
    """Return a value as text, "" if missing.

    Raises:
        NotTextError: a list, an object or an infinite number.

    >>> [as_text(value) for value in ("a ", 7, True, None, float("nan"))]
    ['a ', '7', 'true', '', '']
    """
    if isinstance(value, str):
        return value
    if value is None or (not isinstance(value, (list, dict, tuple)) and is_missing(value)):
        return ""
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "true" if value else "false"
    if isinstance(value, Real) and abs(value) != float("inf"):
        return str(value)
    raise NotTextError(type(value).__name__)


def is_missing(value: object) -> bool:
    """Check for NaN, NaT and NA, which do not equal themselves."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA has no truth value; nor do arrays
        return not hasattr(value, "__len__")


def normalise_name(text: str) -> str:
    r"""Return a name in the composed form of Unicode, without invisible characters.

    >>> normalise_name("Jose\u0301\u200b ") == "José"
    True
    """
    return text if text.isascii() and text == text.strip() else _composed(text).translate(INVISIBLE).strip()


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def find_file(path: str) -> str:
    """Return the path in the Unicode form in which it exists.

    macOS decomposes accents ("e" and an accent), other systems keep what was typed. A path that exists in neither form
    is returned as it is.
    """
    if path.isascii() or has_surrogates(path) or os.path.lexists(path):
        return path
    found = os.sep
    for part in path.split(os.sep)[1:]:
        exact = os.path.join(found, part)
        if not os.path.lexists(exact):
            try:
                names = [name for name in os.listdir(found) if _composed(name) == _composed(part)]
            except OSError:
                return path
            if not names:
                return path
            exact = os.path.join(found, names[0])
        found = exact
    return found
