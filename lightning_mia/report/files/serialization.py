"""Convert dataclasses to JSON values and back."""

import dataclasses
import math
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from lightning_mia.utilities.errors import InputError

REMEDY = "run the audit again to write it"
"""Remedy in errors about damaged files."""


FORMULA = re.compile("'*[=+@-]")


def quote_name(name: str) -> str:
    """Quote a name that spreadsheets would take for a formula.

    >>> [quote_name(name) for name in ("anna", "-4b", "@home", "'+1")]
    ['anna', "'-4b", "'@home", "''+1"]
    """
    return f"'{name}" if FORMULA.match(name) else name


def unquote_name(text: str) -> str:
    """Return the name that `quote_name` has quoted.

    Names that earlier versions did not quote stay as they are.

    >>> [unquote_name(text) for text in ("anna", "'-4b", "-4b", "''+1")]
    ['anna', '-4b', '-4b', "'+1"]
    """
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def to_plain(value: Any) -> Any:
    """Convert to JSON values; NaN and infinities become None.

    >>> to_plain((1.5, float("nan"), np.int64(3)))
    [1.5, None, 3]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.generic | np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def from_plain(kind: Any, value: Any, where: str) -> Any:
    """Convert the output of `to_plain` back to `kind`.

    Unknown keys are ignored, since other programs may add some. None is accepted for every float (it was not finite)
    and where `kind` allows it. `json_schema` expresses the same rules as a JSON Schema.

    Args:
        kind: dataclass, tuple, list, dict or union of these, or plain type.
        value: JSON value.
        where: position in the file, for errors.

    Raises:
        InputError: a key is missing, or a value has another type.

    >>> from_plain(tuple[float, ...], [1, None], "file")
    (1.0, None)
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or (value is None and kind is float):
        return value
    if origin in (Union, types.UnionType):
        inner = next(part for part in arguments if part is not types.NoneType)
        return None if value is None else from_plain(inner, value, where)
    if origin is Literal:
        return _one_of(arguments, value, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    if is_fixed_tuple(kind):
        return _fixed_tuple(arguments, value, where)
    if origin is tuple:
        return tuple(
            from_plain(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(_checked(list, value, where))
        )
    if origin is dict:
        return {
            key: from_plain(arguments[1], item, f"{where}.{key}") for key, item in _checked(dict, value, where).items()
        }
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _checked(kind, value, where)


def is_fixed_tuple(kind: Any) -> bool:
    """Whether a type hint is a tuple of fixed length."""
    return get_origin(kind) is tuple and Ellipsis not in get_args(kind)


def _fixed_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if len(_checked(list, value, where)) != len(kinds):
        raise InputError(f"{where}: expected {len(kinds)} items, but got {len(value)}; {REMEDY}")
    return tuple(
        from_plain(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, kind):  # already read from another file
        return value
    _checked(dict, value, where)
    hints = get_type_hints(kind)
    arguments = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            arguments[field.name] = from_plain(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: the key '{field.name}' is missing; {REMEDY}")
    return kind(**arguments)


def _checked(kind: type, value: Any, where: str) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # JSON has a single number type
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}: expected {kind.__name__}, but got {type(value).__name__}; {REMEDY}")
    return value


def _one_of(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{where}: expected one of {', '.join(choices)}, but got {value!r}; {REMEDY}")
    return value
