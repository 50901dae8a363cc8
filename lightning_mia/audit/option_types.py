"""Types of options as JSON, so that values can be checked without PyTorch."""

import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from lightning_mia.utilities.ranges import MAX_PROCESSES, Range, check_range

if TYPE_CHECKING:
    from lightning_mia.utilities.parser import Parser

Description = str | dict[str, Any] | None
"""JSON of a type; None for groups of options, which have none."""

PLAIN: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "dict": dict,
    "None": type(None),
    "object": Any,
}
KEYS = {"any_of", "one_of", "list_of", "in_range"}
"""Keys of compound types."""

OPEN = ("dict", "object")
"""Types below which further options may follow."""


def describe(hint: Any) -> Description:
    """Describe a type as JSON; classes become `object`.

    >>> describe(list[int] | Literal["auto"])
    {'any_of': [{'list_of': 'int'}, {'one_of': ['auto']}]}
    >>> describe(Annotated[float, Range(0)])
    {'in_range': 'float', 'limits': [0, None, False, False]}
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is None:
        return None
    if origin is Annotated:
        return _describe_range(inner[0], hint.__metadata__)
    if origin in (Union, types.UnionType):
        return {"any_of": [describe(part) for part in inner]}
    if origin is Literal:
        return {"one_of": list(inner)}
    if origin is list:
        return {"list_of": describe(inner[0])}
    named = dict if origin is dict else hint
    return next((name for name, kind in PLAIN.items() if kind is named), "object")


def _describe_range(number: Any, metadata: Sequence[Any]) -> Description:
    limits = next((item for item in metadata if isinstance(item, Range)), None)
    if limits is None:
        return describe(number)
    high = None if limits.high in (math.inf, MAX_PROCESSES) else limits.high  # the latter differs between machines
    return {"in_range": describe(number), "limits": [limits.low, high, limits.above, limits.below]}


def restore(description: Description) -> Any:
    """Make the type that was described.

    >>> restore({"any_of": [{"list_of": "int"}, "None"]})
    typing.Optional[list[int]]
    """
    if not isinstance(description, Mapping):
        return PLAIN[description or "object"]
    if "any_of" in description:
        return Union[tuple(map(restore, description["any_of"]))]  # noqa: UP007 - the parts are known at run time only
    if "one_of" in description:
        return Literal[tuple(description["one_of"])]
    if "list_of" in description:
        return list[restore(description["list_of"])]  # type: ignore[misc]
    low, high, above, below = description["limits"]
    limits = Range(low, math.inf if high is None else high, above, below)
    return Annotated[restore(description["in_range"]), limits]


def is_open(description: Description) -> bool:
    """Test whether further options may follow below an option.

    >>> is_open({"any_of": ["object", "None"]}), is_open({"list_of": "int"}), is_open(None)
    (True, False, False)
    """
    if not isinstance(description, Mapping):
        return description in OPEN
    parts = [*description.get("any_of", ()), description.get("list_of"), description.get("in_range")]
    return any(map(is_open, parts))


def choices(description: Description) -> list[str]:
    """List the values of an option that has a fixed set of them."""
    return [str(choice) for choice in description.get("one_of", ())] if isinstance(description, Mapping) else []


def check_words(option: str, words: Sequence[str], description: Description) -> None:
    """Check the value of an option on the command line.

    Args:
        option: name of the option, without dashes.
        words: the option as it was given, and its value.
        description: type of the option.

    Raises:
        InputError: as by the full parser.

    >>> check_words("fleet.size", ["--fleet.size", "x"], "int")
    Traceback (most recent call last):
    lightning_mia.utilities.errors.InputError: --fleet.size x: give a whole number
    """
    if is_open(description) and "{" in words[-1]:  # a class, which the full parser imports
        return
    hint = restore(description)
    check_range(option, hint, _parser(option, hint).parse_args(words)[option])


def check_content(option: str, value: Any, description: Description) -> None:
    """Check the value of an option in a config.

    Args:
        option: name of the option.
        value: its value.
        description: type of the option.

    Raises:
        InputError: as by the full parser.
    """
    if is_open(description) and isinstance(value, Mapping | list):
        return
    hint = restore(description)
    nested = value
    for key in reversed(option.split(".")):
        nested = {key: nested}
    check_range(option, hint, _parser(option, hint).parse_object(nested)[option])


def _parser(option: str, hint: Any) -> "Parser":
    from lightning_mia.utilities.parser import Parser

    parser = Parser(prog="lightning-mia")
    parser.add_argument(f"--{option}", type=hint)
    return parser
