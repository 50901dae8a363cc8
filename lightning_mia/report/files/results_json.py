"""`results.json`: all results of a run, for other programs."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.files.scores_csv import read_scores
from lightning_mia.report.files.serialization import from_plain, to_plain
from lightning_mia.report.files.units_csv import read_units
from lightning_mia.utilities.errors import InputError

SCHEMA = 1
"""Version of `results.schema.json`: keys may be added, but none renamed."""

NOT_IN_RESULTS = ("scores", "units")
"""Fields of the report that are stored as CSV files."""


def to_results(report: AuditReport) -> dict[str, Any]:
    """Convert a report to the content of `results.json`."""
    names = [field.name for field in fields(report) if field.name not in NOT_IN_RESULTS]
    return {"schema": SCHEMA, **{name: to_plain(getattr(report, name)) for name in names}}


def read_results(results_path: Path, scores_path: Path, units_path: Path | None = None) -> AuditReport:
    """Read a report from its files; `units_path` need not exist.

    Raises:
        InputError: a file is missing or damaged, or the files do not belong together.
    """
    data = _json_object(results_path)
    if data.get("schema") != SCHEMA:
        raise InputError(
            f"{results_path}: schema {data.get('schema')!r} is unknown, only {SCHEMA} is known; use the version of "
            "lightning_mia that wrote it"
        )
    data = {key: value for key, value in data.items() if key not in NOT_IN_RESULTS}
    results = [
        result
        for part in ("attacks", "controls")
        for result in from_plain(tuple[AttackResult, ...], data.get(part, []), f"{results_path}: {part}")
    ]
    scores = read_scores(scores_path, results)
    units = list(read_units(units_path)) if units_path else []
    try:
        return from_plain(AuditReport, {**data, "scores": list(scores), "units": units}, f"{results_path}: report")
    except ValueError as error:
        raise InputError(f"{results_path}: {error}; run the audit again to write it") from error


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; run the audit again to write it") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the audit again to write it") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object; run the audit again to write it")
    return data
