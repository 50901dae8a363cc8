"""Manifests in plain text: CSV, and fairseq's TSV with and without a header."""

import csv
import io
import os
import re
from pathlib import PurePosixPath
from typing import Any

from lightning_mia.corpora.base import ids_from_paths
from lightning_mia.corpora.formats.columns import Row
from lightning_mia.corpora.formats.json_manifests import lines_of
from lightning_mia.utilities.errors import InputError, list_first

FAIRSEQ_LINE = re.compile(r"[^\t\n]+\t\d+")
FAIRSEQ_START = re.compile(rf"[^\t\n]+\n{FAIRSEQ_LINE.pattern}\s*(\n|$)")
FAIRSEQ_SEGMENT = re.compile(r"(.+):(\d+):(\d+)")
"""Path, first sample and number of samples of a segment."""

LIBRISPEECH_NAME = re.compile(r"(\d+)-\d+-\d+")


def is_fairseq(text: str) -> bool:
    """Check for a root folder, followed by a path and a number."""
    return FAIRSEQ_START.match(text) is not None


def is_fairseq_table(text: str) -> bool:
    """Check for the header of fairseq's speech-to-text tables."""
    header = text.split("\n", 1)[0].strip().split("\t")
    return {"audio", "n_frames"} <= set(header)


def read_csv(text: str, where: str, delimiter: str = ",") -> list[Row]:
    """Read a table with a header.

    Columns without a name must be empty.

    Raises:
        InputError: not a table, a repeated column, or a row with another number of fields.
    """
    reader = csv.reader(
        io.StringIO(text),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True,
        quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE,
    )
    rows: list[Row] = []
    malformed: list[str] = []
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        names = [name for name in header if name]
        if len(set(names)) < len(names):
            raise InputError(f"{where}: a column occurs twice in {', '.join(names)}; rename one")
        for fields in reader:
            if len(fields) == len(header):
                values = [field.strip() for field in fields]
                _check_unnamed(header, values, f"{where}: line {reader.line_num}")
                filled = {name: value for name, value in zip(header, values, strict=True) if name}
                rows.append((reader.line_num, filled))
            elif fields:  # blank lines have none
                malformed.append(f"line {reader.line_num} has {len(fields)}")
    except csv.Error as error:
        raise InputError(f"{where}: line {reader.line_num} is not CSV ({error}); correct it") from error
    if malformed:
        named = f"{len(header)} columns, but {list_first(malformed)}"
        raise InputError(f"{where}: {named}; put fields that hold a comma in double quotes")
    return rows


def _check_unnamed(header: list[str], values: list[str], where: str) -> None:
    """Reject values under an empty column name."""
    for number, (name, value) in enumerate(zip(header, values, strict=True), start=1):
        if value and not name:
            raise InputError(f"{where}: {value!r} is in column {number}, which has no name; name or remove the column")


def read_fairseq(text: str, where: str) -> list[Row]:
    """Read a root folder, and relative paths with numbers of samples.

    Raises:
        InputError: no root folder, a malformed line, or a path that names no speaker.
    """
    lines = list(lines_of(text))
    if not lines:
        return []
    root = lines[0][1].strip()
    if "\t" in root:
        what = "line 1 is not a root folder, with which fairseq's TSV begins"
        raise InputError(f"{where}: {what}; write a table with columns as CSV")
    malformed = [f"line {number}" for number, line in lines[1:] if not FAIRSEQ_LINE.fullmatch(line.strip())]
    if malformed:
        problem = f"not a path, a tab and a number of samples: {list_first(malformed)}"
        raise InputError(f"{where}: {problem}; correct them")
    paths = [PurePosixPath(line.split("\t")[0].strip()) for _, line in lines[1:]]
    rows = []
    for (number, _), path, name in zip(lines[1:], paths, ids_from_paths(paths), strict=True):
        segment = split_segment(str(path))
        speaker = _speaker(PurePosixPath(segment["path"]), f"{where}: line {number}")
        row = {"id": name, "speaker": speaker, **segment, "path": os.path.join(root, segment["path"])}
        rows.append((number, row))
    return rows


def split_segment(path: str) -> dict[str, Any]:
    """Split fairseq's `path:start:frames` into path, start and stop (samples).

    >>> split_segment("talk.wav:16000:8000"), split_segment("talk.wav")
    ({'path': 'talk.wav', 'start': 16000, 'stop': 24000}, {'path': 'talk.wav'})
    """
    match = FAIRSEQ_SEGMENT.fullmatch(path)
    if match is None:
        return {"path": path}
    return {"path": match[1], "start": int(match[2]), "stop": int(match[2]) + int(match[3])}


def _speaker(path: PurePosixPath, where: str) -> str:
    """Return the speaker of a path in a fairseq TSV."""
    if librispeech := LIBRISPEECH_NAME.fullmatch(path.stem):
        return librispeech[1]
    if len(path.parts) > 1:
        return path.parts[0]
    raise InputError(f"{where}: {path} is in no folder that could name its speaker; write a CSV with a speaker column")
