"""`results.json`: all results of a run, for other programs."""

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lightning_mia.evaluation.results import AttackResult
from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs
from lightning_mia.report.audit_report import AuditReport
from lightning_mia.report.files.scores_csv import read_scores
from lightning_mia.report.files.serialization import REMEDY, from_plain, to_plain
from lightning_mia.report.files.units_csv import read_units
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of, hash_of_file

SCHEMA = 1
"""Version of `results.schema.json`: keys may be added, but none renamed."""

NOT_IN_RESULTS = ("scores", "units")
"""Fields of the report that are stored as CSV files."""

SHA256 = "sha256"
"""Key of the hashes: of `EVIDENCE`, and of the CSV files by name. Files of earlier versions lack it."""

TABLES = ("scores.csv", "units.csv")

EVIDENCE = (
    *("target", "split", "verdict", "attacks", "controls", "blind_upper95", "exposures", "fleet"),
    *("dataset_inference", "slices", "speaker_risks", "utility", "privacy", "epsilon_bounds"),
)
"""Keys of results, which nobody may edit; command, config and notes may be shortened before a file is shared."""

TOLERANCE = 1e-9
"""Largest difference between an AUROC and that of its scores; summation may round differently."""


def to_results(report: AuditReport) -> dict[str, Any]:
    """Convert a report to the content of `results.json`."""
    names = [field.name for field in fields(report) if field.name not in NOT_IN_RESULTS]
    return {"schema": SCHEMA, **{name: to_plain(getattr(report, name)) for name in names}}


def with_hashes(results: dict[str, Any], tables: Iterable[Path]) -> dict[str, Any]:
    """Add the hashes of results and tables to `results.json`."""
    hashes = {name: hash_of(results[name]) for name in EVIDENCE if name in results}
    return {**results, SHA256: hashes | {path.name: hash_of_file(path) for path in tables}}


def check_hashes(results: dict[str, Any], path: Path) -> None:
    """Compare results with the hashes that were written with them.

    Args:
        results: content of `results.json`.
        path: its path; the tables are beside it.

    Raises:
        InputError: a result or a table was changed later.
    """
    hashes = results.get(SHA256, {})
    if not isinstance(hashes, dict):
        raise InputError(f"{path}: {SHA256} is not a table of hashes; {REMEDY}")
    for name, expected in hashes.items():
        if name in EVIDENCE and hash_of(results.get(name)) != expected:
            raise InputError(f"{path}: {name} was changed after the audit; {REMEDY}")
        table = path.with_name(name)
        if name in TABLES and table.exists() and hash_of_file(table) != expected:
            raise InputError(f"{table} was changed after the audit; {REMEDY}")


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
    check_hashes(data, results_path)
    scores = read_scores(scores_path, results)
    for result, table in zip(results, scores, strict=True):
        _check_auroc(result, table, results_path, scores_path)
    units = list(read_units(units_path)) if units_path else []
    try:
        return from_plain(AuditReport, {**data, "scores": list(scores), "units": units}, f"{results_path}: report")
    except ValueError as error:
        raise InputError(f"{results_path}: {error}; run the audit again to write it") from error


def _check_auroc(result: AttackResult, scores: Scores, results_path: Path, scores_path: Path) -> None:
    auroc = float(labelled_aurocs(scores.values, scores.members[None])[0])
    if result.auroc is None or not abs(result.auroc - auroc) <= TOLERANCE:
        raise InputError(
            f"{results_path}: the AUROC of '{result.name}' at {result.level} level is {result.auroc}, but its scores "
            f"in {scores_path.name} give {auroc:.6g}; {REMEDY}"
        )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing; run the audit again to write it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); run the audit again to write it") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object; run the audit again to write it")
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")
