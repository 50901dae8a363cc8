"""Dataclasses to plain JSON values and back, guided by the dataclasses' own type hints."""

import dataclasses
import math
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from lightning_mia.utilities.errors import InputError

_REMEDY = "run the attack again to write it anew"


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tuples and NumPy scalars into what JSON knows; NaN and infinities become None.

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
    """Rebuild a value of type `kind` from what `to_plain` made of it.

    Keys that `kind` does not know are passed over: others may add keys to the file. None stands where a float
    was not finite, and where `kind` allows it. `plain_schema` says the same as a JSON Schema.

    Args:
        kind: a dataclass, a tuple, list, dict or union of such, or a plain type.
        value: JSON-like.
        where: the place in the file, for the error.

    Raises:
        InputError: a key is missing, or a value is of another type.
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
        return tuple(from_plain(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(_a(list, value, where)))
    if origin is dict:
        return {key: from_plain(arguments[1], item, f"{where}.{key}") for key, item in _a(dict, value, where).items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _a(kind, value, where)


def is_fixed_tuple(kind: Any) -> bool:
    """Whether a type hint is of a tuple with so many items, such as `tuple[float, float]`."""
    return get_origin(kind) is tuple and Ellipsis not in get_args(kind)


def _fixed_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if len(_a(list, value, where)) != len(kinds):
        raise InputError(f"{where}: expected {len(kinds)} items, but found {len(value)}; {_REMEDY}")
    return tuple(
        from_plain(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if isinstance(value, kind):  # rebuilt already, from another file
        return value
    _a(dict, value, where)
    hints = get_type_hints(kind)
    arguments = {}
    for field in dataclasses.fields(kind):
        if field.name in value:
            arguments[field.name] = from_plain(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where}: the key '{field.name}' is missing; {_REMEDY}")
    return kind(**arguments)


def _a(kind: type, value: Any, where: str) -> Any:
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)  # JSON has one kind of number
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}: expected {kind.__name__}, but found {type(value).__name__}; {_REMEDY}")
    return value


def _one_of(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{where}: expected one of {', '.join(choices)}, but found {value!r}; {_REMEDY}")
    return value
