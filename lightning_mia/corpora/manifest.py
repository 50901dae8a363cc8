"""Manifests: CSV, JSON Lines (also NeMo's) and fairseq's TSV."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table, ids_from_paths
from lightning_mia.utilities.errors import InputError, list_first

Row = tuple[int, dict[str, str]]
"""Line number in the file, and values by column."""

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
FAIRSEQ_LINE = re.compile(r"[^\t\n]+\t\d+")
FAIRSEQ_START = re.compile(rf"[^\t\n]+\n{FAIRSEQ_LINE.pattern}\s*(\n|$)")
LIBRISPEECH_NAME = re.compile(r"(\d+)-\d+-\d+")


class Manifest(Corpus):
    """Recordings listed in a CSV, JSON Lines or fairseq file.

    CSV: a header and the columns `id,path,speaker[,text][,duration][,session][,gender][,accent][,member]`, in any
    order. JSON Lines: objects with the same keys; `audio_filepath` (NeMo) is accepted for `path`, and `id` defaults to
    the path. fairseq TSV: the root folder, then `relative/path<TAB>number of samples`; the id is the path without
    suffix, the speaker its first folder, or the first number of LibriSpeech's file names (`19-198-0000.flac`).

    Relative paths start from the manifest's folder. `member` is 1, 0, `held_back`, `sibling` or empty
    (auxiliary). All values but the duration are text, as written ("0001", "NA"). Other columns are ignored.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "speech.csv"
        ...     _ = path.write_text("id,path,speaker,member\\na,a.wav,Ann,1\\nb,b.wav,Bob,0\\n")
        ...     Manifest(str(path)).table()["member"].tolist()
        ['1', '0']
    """

    def __init__(self, path: str) -> None:
        """Specify the manifest.

        Args:
            path: the file. `.jsonl`, `.json` and `.ndjson` are read as JSON Lines, `.tsv` as fairseq's TSV; other
                formats are detected from the first lines.
        """
        self.path = path

    def table(self) -> pd.DataFrame:
        """Read the manifest, without opening the recordings."""
        text = _read_text(self.path)
        suffix = Path(self.path).suffix.lower()
        if suffix in JSON_SUFFIXES or text.lstrip().startswith("{"):
            rows = _json_rows(text, self.path)
        elif suffix == ".tsv" or FAIRSEQ_START.match(text):
            rows = _fairseq_rows(text, self.path)
        else:
            rows = _csv_rows(text, self.path)
        if not rows:
            raise InputError(f"{self.path}: no utterances; an empty manifest cannot be used")
        lines = pd.Index([line for line, _ in rows], name="line")
        table = pd.DataFrame([values for _, values in rows], index=lines, dtype=object)
        if "path" in table:
            folder = os.path.dirname(os.path.abspath(os.path.expanduser(self.path)))
            table["path"] = table["path"].map(lambda path: _absolute(folder, path))
        return check_table(table, self.path)


def _read_text(path: str) -> str:
    """Read a UTF-8 text file without byte-order mark."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read the manifest ({error.strerror}); check the path") from error


def _absolute(folder: str, path: object) -> object:
    """Resolve a path relative to `folder`; `check_table` reports empty ones."""
    if not isinstance(path, str) or not path:
        return path
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _csv_rows(text: str, where: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    rows, malformed = [], []
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if len(set(header)) < len(header):
            raise InputError(f"{where}: a column occurs twice in {', '.join(header)}; rename one")
        for fields in reader:
            if len(fields) == len(header):
                rows.append((reader.line_num, dict(zip(header, map(str.strip, fields), strict=True))))
            elif fields:  # blank lines have none
                malformed.append(f"line {reader.line_num} has {len(fields)}")
    except csv.Error as error:
        raise InputError(f"{where}: line {reader.line_num} is not CSV ({error}); correct it") from error
    if malformed:
        named = f"{len(header)} columns, but {list_first(malformed)}"
        raise InputError(f"{where}: {named}; put fields that hold a comma in double quotes")
    return rows


def _json_rows(text: str, where: str) -> list[Row]:
    rows, malformed = [], []
    for number, line in _lines(text):
        try:
            values = json.loads(line)
        except ValueError:
            values = None
        if isinstance(values, dict):
            rows.append((number, _json_row(values, f"{where}: line {number}")))
        else:
            malformed.append(f"line {number}")
    if malformed:
        raise InputError(f"{where}: not a JSON object: {list_first(malformed)}; write one object per line")
    return rows


def _json_row(values: dict[str, object], where: str) -> dict[str, str]:
    """Convert values to text, and NeMo's keys to ours."""
    row = {key: _as_written(value) for key, value in values.items()}
    if values.get("offset"):
        problem = f"a segment of a longer file (offset {row['offset']}) cannot be used"
        raise InputError(f"{where}: {problem}; cut segments into separate files")
    if "path" not in row and "audio_filepath" in row:
        row["path"] = row["audio_filepath"]
    if "id" not in row and "path" in row:
        row["id"] = row["path"]
    return row


def _as_written(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fairseq_rows(text: str, where: str) -> list[Row]:
    lines = list(_lines(text))
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
        speaker = _speaker(path, f"{where}: line {number}")
        rows.append((number, {"id": name, "path": os.path.join(root, path), "speaker": speaker}))
    return rows


def _speaker(path: PurePosixPath, where: str) -> str:
    """Return the speaker of a path in a fairseq TSV."""
    if librispeech := LIBRISPEECH_NAME.fullmatch(path.stem):
        return librispeech[1]
    if len(path.parts) > 1:
        return path.parts[0]
    raise InputError(f"{where}: {path} is in no folder that could name its speaker; write a CSV with a speaker column")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the non-blank lines with their numbers from 1."""
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
