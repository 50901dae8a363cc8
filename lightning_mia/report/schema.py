"""The published contract of `results.json`: `results.schema.json`, beside this file, written by running this module.

    python -m lightning_mia.report.schema

A test compares the file with the dataclasses, and what the schema accepts with what `results.read_results` accepts.
"""

from pathlib import Path
from typing import Any

from lightning_mia.files import write_json
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.plain_schema import Schema, object_schema
from lightning_mia.report.results import NOT_IN_RESULTS, SCHEMA

SCHEMA_PATH = Path(__file__).parent / "results.schema.json"


def results_schema() -> dict[str, Any]:
    """The JSON Schema of `results.json`, made from the dataclasses of the report."""
    definitions: dict[str, Schema] = {}
    whole = object_schema(AuditReport, definitions, without=NOT_IN_RESULTS)
    version = {"const": SCHEMA, "description": "Version of this contract: keys may be added, none renamed."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lightning-mia:results:{SCHEMA}",
        "title": "results.json of lightning_mia",
        **whole,
        "properties": {"schema": version, **whole["properties"]},
        "required": ["schema", *whole["required"]],
        "$defs": dict(sorted(definitions.items())),
    }


if __name__ == "__main__":
    write_json(SCHEMA_PATH, results_schema())
