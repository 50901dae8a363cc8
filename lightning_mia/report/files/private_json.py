"""`private.json`: what a report must not name when it is shared.

`results.json` and the pages hold the same without folders, and without ids and paths of recordings.
"""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from lightning_mia.report.audit_report import AuditReport, SkippedRecording
from lightning_mia.report.files.serialization import REMEDY, from_plain, to_plain
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_json

LOCAL = r"(?:file://|~[\w.-]*/|\.{0,2}/|[A-Za-z]:[\\/])"
QUOTED_PATH = re.compile(rf"(?P<quote>['\"]){LOCAL}(?P<path>[^'\"\n]+)(?P=quote)")
BARE_PATH = re.compile(rf"(?<![<\w.:/\\~…]){LOCAL}(?P<path>[^\s'\"<>,;)\]}}]+)")
PAIRS = re.compile(r"(nearly the same audio as a [\w-]+) \(.*\)(?=\. (?:It counts|They count) as both)")
"""Ids in the note on near copies."""


@dataclass(frozen=True)
class PrivateParts:
    """Parts of a report with paths and names.

    Attributes:
        command: as in `Provenance`.
        config_yaml: as in `AuditReport`.
        notes: as in `AuditReport`.
        skipped: as in `AuditReport`.

    Example:
        >>> PrivateParts("lightning-mia audit --run_dir /data/R", "", (), ()).command
        'lightning-mia audit --run_dir /data/R'
    """

    command: str
    config_yaml: str
    notes: tuple[str, ...]
    skipped: tuple[SkippedRecording, ...]


def private_parts(report: AuditReport) -> PrivateParts:
    """Return the parts that `shareable` changes."""
    return PrivateParts(report.provenance.command, report.config_yaml, report.notes, report.skipped)


def shareable(report: AuditReport) -> AuditReport:
    """Return the report without local paths and without names of recordings."""
    return _with_parts(
        report,
        PrivateParts(
            without_paths(report.provenance.command),
            without_paths(report.config_yaml),
            tuple(PAIRS.sub(r"\1", without_paths(note)) for note in report.notes),
            tuple(SkippedRecording("", "", _reason(recording)) for recording in report.skipped),
        ),
    )


def without_paths(text: str) -> str:
    """Keep only the last part of every local path in a text.

    >>> without_paths("audit -c audit/tera.yaml --data.corpus.path '/home/jane doe/M.csv' --run_dir ~/R")
    "audit -c audit/tera.yaml --data.corpus.path '…/M.csv' --run_dir …/R"
    """
    text = QUOTED_PATH.sub(lambda match: f"{match['quote']}…/{_last_part(match['path'])}{match['quote']}", text)
    return BARE_PATH.sub(lambda match: f"…/{_last_part(match['path'])}", text)


def write_private(path: Path, report: AuditReport) -> None:
    """Write the file; remove an old one if there is nothing to hide."""
    if shareable(report) == report:
        path.unlink(missing_ok=True)
    else:
        write_json(path, to_plain(private_parts(report)))


def with_private(report: AuditReport, path: Path) -> AuditReport:
    """Restore the private parts, if their file is there.

    Raises:
        InputError: the file is damaged.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return report
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}); {REMEDY}, or remove it") from error
    return _with_parts(report, from_plain(PrivateParts, data, str(path)))


def _with_parts(report: AuditReport, parts: PrivateParts) -> AuditReport:
    return replace(
        report,
        provenance=replace(report.provenance, command=parts.command),
        config_yaml=parts.config_yaml,
        notes=parts.notes,
        skipped=parts.skipped,
    )


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


def _reason(recording: SkippedRecording) -> str:
    """Remove the recording's own names from the reason."""
    reason = recording.reason
    for name in sorted({recording.path, _last_part(recording.path), recording.id} - {""}, key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", reason)
    return without_paths(reason)
