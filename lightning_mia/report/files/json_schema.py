"""JSON Schema (draft 2020-12) of what `from_plain` accepts."""

import dataclasses
import inspect
import re
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.files.results_json import NOT_IN_RESULTS, SCHEMA, SHA256
from lightning_mia.report.files.serialization import is_fixed_tuple
from lightning_mia.utilities.files import write_json

Schema = dict[str, Any]


def schema_of(kind: Any, definitions: dict[str, Schema]) -> Schema:
    """Return the schema of a type hint.

    Args:
        kind: dataclass, tuple, list, dict or union of these, or plain type.
        definitions: name → schema of dataclasses; extended by those in `kind`.

    >>> schema_of(tuple[float, ...], {})
    {'type': 'array', 'items': {'type': ['number', 'null']}}
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin in (Union, types.UnionType):
        return _or_null(schema_of(next(part for part in arguments if part is not types.NoneType), definitions))
    if origin is Literal:
        return {"enum": list(arguments)}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}  # placeholder, for recursive dataclasses
            definitions[kind.__name__] = object_schema(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if is_fixed_tuple(kind):
        items = [schema_of(part, definitions) for part in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin in (tuple, list):
        return {"type": "array", "items": schema_of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1], definitions)}
    return {"type": {float: ["number", "null"], int: "integer", bool: "boolean", str: "string"}[kind]}


def object_schema(kind: type, definitions: dict[str, Schema], without: tuple[str, ...] = ()) -> Schema:
    """Return the schema of a dataclass, described by its docstring."""
    hints, descriptions = get_type_hints(kind), attributes_of(kind)
    fields = [field for field in dataclasses.fields(kind) if field.name not in without]
    properties = {
        field.name: {
            **schema_of(hints[field.name], definitions),
            **({"description": descriptions[field.name]} if field.name in descriptions else {}),
        }
        for field in fields
    }
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    summary = (inspect.getdoc(kind) or "").split("\n\n")[0]
    described = {"description": " ".join(summary.split())}
    return {"type": "object", **described, "properties": properties, "required": required}


def attributes_of(kind: type) -> dict[str, str]:
    """Return attribute → description from the class's docstring."""
    section = re.search(r"^Attributes:\n((?:[ \n].*\n?)*)", inspect.getdoc(kind) or "", re.MULTILINE)
    attributes = re.findall(r"^    (\w+): (.*(?:\n     +.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in attributes}


def _or_null(schema: Schema) -> Schema:
    if "type" in schema and "enum" not in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, *([] if "null" in kinds else ["null"])]}
    return {"anyOf": [schema, {"type": "null"}]}


SCHEMA_PATH = Path(__file__).parent / "results.schema.json"


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema of `results.json`."""
    definitions: dict[str, Schema] = {}
    report = object_schema(AuditReport, definitions, without=NOT_IN_RESULTS)
    version = {"const": SCHEMA, "description": "Version of this schema: keys may be added, but none renamed."}
    hashes = {**schema_of(dict[str, str], definitions), "description": "SHA-256 of results, by key, and of tables."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lightning-mia:results:{SCHEMA}",
        "title": "results.json of lightning_mia",
        **report,
        "properties": {"schema": version, SHA256: hashes, **report["properties"]},
        "required": ["schema", *report["required"]],
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    write_json(SCHEMA_PATH, results_schema())
