"""Tables of the fields of a dataclass, from its docstring: the keys of the JSON that it is written to."""

import inspect
import re
from dataclasses import fields
from importlib import import_module

from docstring_parser import parse


def field_table(dotted: str, *without: str) -> str:
    """One row per field.

    Args:
        dotted: module and name of the class.
        without: fields that are not written.

    Raises:
        ValueError: a field has no description.
    """
    module, name = dotted.rsplit(".", 1)
    one = getattr(import_module(module), name)
    told = {
        item.arg_name: re.sub(r"\bNone\b", "null", " ".join((item.description or "").split()))
        for item in parse(inspect.getdoc(one) or "").params
    }
    names = [field.name for field in fields(one) if field.name not in without]
    if told and (silent := [name for name in names if name not in told]):
        raise ValueError(f"{dotted} does not describe {', '.join(silent)}")
    rows = [f"| `{name}` | {told.get(name, '').replace('|', chr(92) + '|')} |" for name in names]
    return "\n".join(["| key | meaning |", "|---|---|", *rows])
