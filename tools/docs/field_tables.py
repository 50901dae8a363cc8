"""Tables of dataclass fields, read from docstrings."""

import inspect
import re
from dataclasses import fields
from importlib import import_module

from docstring_parser import parse


def field_table(path: str, *excluded: str) -> str:
    """Make a table with one row per field.

    Args:
        path: dotted path of the class.
        excluded: fields to leave out.

    Raises:
        ValueError: a field has no description.
    """
    module, name = path.rsplit(".", 1)
    cls = getattr(import_module(module), name)
    meanings = {
        param.arg_name: re.sub(r"\bNone\b", "null", " ".join((param.description or "").split()))  # as in JSON
        for param in parse(inspect.getdoc(cls) or "").params
    }
    names = [field.name for field in fields(cls) if field.name not in excluded]
    if meanings and (missing := [name for name in names if name not in meanings]):
        raise ValueError(f"{path} does not describe {', '.join(missing)}")
    rows = [f"| `{name}` | {meanings.get(name, '').replace('|', chr(92) + '|')} |" for name in names]
    return "\n".join(["| key | meaning |", "|---|---|", *rows])
