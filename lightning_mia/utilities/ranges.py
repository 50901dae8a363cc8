"""Numbers with a range in their type."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from lightning_mia.utilities.errors import InputError

MAX_SEED = 2**32 - 1
MAX_PROCESSES = max(64, os.cpu_count() or 1)


@dataclass(frozen=True)
class Range:
    """Range of a number, an annotation of its type.

    Args:
        low: smallest value.
        high: largest value; infinity: any finite one.
        above: the smallest value itself is excluded.
        below: the largest value itself is excluded.

    Example:
        >>> Range(0, 1, below=True), Range(1, 1000), Range(0)
        (0 or more and less than 1, 1 to 1,000, 0 or more)
        >>> 1.0 in Range(0, 1, below=True), float("nan") in Range(0)
        (False, False)
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        low = self.low < value if self.above else self.low <= value
        high = value < self.high if self.below or self.high == math.inf else value <= self.high
        return low and high

    def __repr__(self) -> str:
        low = f"more than {_shown(self.low)}" if self.above else _shown(self.low)
        if self.high == math.inf:
            return low if self.above else f"{low} or more"
        if not self.above and not self.below:
            return f"{low} to {_shown(self.high)}"
        low = low if self.above else f"{low} or more"
        return f"{low} and {'less than' if self.below else 'at most'} {_shown(self.high)}"


Seed = Annotated[int, Range(0, MAX_SEED)]
Share = Annotated[float, Range(0, 1)]
PositiveShare = Annotated[float, Range(0, 1, above=True)]
InnerShare = Annotated[float, Range(0, 1, above=True, below=True)]
Dropout = Annotated[float, Range(0, 1, below=True)]
Rate = Annotated[float, Range(0, 10, above=True)]
Weight = Annotated[float, Range(0, 1_000_000)]
Positive = Annotated[float, Range(0, above=True)]
Seconds = Annotated[float, Range(0, 1_000_000, above=True)]
Processes = Annotated[int, Range(0, MAX_PROCESSES)]
Count = Annotated[int, Range(1, 1_000_000)]
CountOrNone = Annotated[int, Range(0, 1_000_000)]
Size = Annotated[int, Range(0, 100_000_000)]
Layers = Annotated[int, Range(1, 1_000)]
Layer = Annotated[int, Range(-1_000, 1_000)]
"""Number of a hidden layer; negative: from the end."""
Decibels = Annotated[float, Range(-200, 200)]
Width = Annotated[int, Range(1, 65_536)]


def check_ranges(annotated: Callable[..., Any], values: Mapping[str, Any], prefix: str = "") -> None:
    """Check numbers against the ranges of their types.

    Args:
        annotated: class or constructor with the types.
        values: name → value.
        prefix: what the names are preceded by in messages, such as `model.`.

    Raises:
        InputError: a number is out of its range, or not a number.
    """
    for name, hint in _hints(annotated).items():
        check_range(f"{prefix}{name}", hint, values.get(name))


def check_range(name: str, hint: Any, value: Any) -> None:
    """Check one number, or a list of numbers.

    Args:
        name: name for messages.
        hint: type with the range.
        value: of any type; only numbers are checked.

    Raises:
        InputError: a number is out of its range, or not a number.
    """
    for number in value if isinstance(value, list | tuple) else [value]:
        for limits in _ranges(hint, of_items=isinstance(value, list | tuple)):
            if isinstance(number, int | float) and number not in limits:
                raise InputError(f"{name} is {number}: give {limits}")


def check_fields(settings: Any, prefix: str = "") -> None:
    """Check the fields of a dataclass; see `check_ranges`.

    Raises:
        InputError: a number is out of its range, or not a number.
    """
    check_ranges(type(settings), {field.name: getattr(settings, field.name) for field in fields(settings)}, prefix)


@cache
def _hints(annotated: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(annotated, include_extras=True)


def _ranges(hint: Any, of_items: bool) -> Iterator[Range]:
    """Yield the ranges in a type, also within unions.

    Args:
        hint: type of a number, or of a list of numbers.
        of_items: of a list's items, not of a single number.
    """
    if get_origin(hint) is Annotated and not of_items:
        yield from (item for item in hint.__metadata__ if isinstance(item, Range))
    elif get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _ranges(part, of_items)
    elif get_origin(hint) in (list, tuple) and of_items:
        for part in get_args(hint):
            yield from _ranges(part, of_items=False)


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
