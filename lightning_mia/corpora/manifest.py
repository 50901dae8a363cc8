"""A corpus listed in a file: CSV, JSON Lines (also NeMo's) or fairseq's TSV."""

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
"""Line number in the file, and what the line says by column."""

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")
FAIRSEQ_LINE = re.compile(r"[^\t\n]+\t\d+")
FAIRSEQ_START = re.compile(rf"[^\t\n]+\n{FAIRSEQ_LINE.pattern}\s*(\n|$)")
LIBRISPEECH_NAME = re.compile(r"(\d+)-\d+-\d+")


class Manifest(Corpus):
    """Recordings listed in a CSV, JSON Lines or fairseq TSV file, in UTF-8.

    CSV: a header and the columns `id,path,speaker[,text][,duration][,session][,gender][,accent][,member]`, in
    any order. JSON Lines: objects with the same keys, where `audio_filepath` (NeMo) stands for `path`, and `id`
    is the path where it is absent. fairseq TSV: the root folder, then `relative/path<TAB>number of samples`;
    the id is the path without suffix and the speaker is its first folder, except that LibriSpeech's file names
    (`19-198-0000.flac`) name the speaker themselves.

    Relative paths start from the manifest's folder. `member` is 1, 0, `held_back` or empty (auxiliary).
    Everything but the duration is text, as written ("0001", "NA"). Other columns are left out.
    """

    def __init__(self, path: str) -> None:
        """Name the manifest.

        Args:
            path: the file; `.jsonl`, `.json` and `.ndjson` are read as JSON Lines, `.tsv` as fairseq's TSV,
                and all else as what its first lines look like.
        """
        self.path = path

    def table(self) -> pd.DataFrame:
        """Read the manifest; whether the recordings exist is found out when they are decoded."""
        text = _text_of(self.path)
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


def _text_of(path: str) -> str:
    """Return the file's text with a byte-order mark left out and line ends as \\n."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read the manifest ({error.strerror}); check the path") from error


def _absolute(folder: str, path: object) -> object:
    """Start a relative path from `folder`; leave what is empty or absent for the check of the table."""
    if not isinstance(path, str) or not path:
        return path
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _csv_rows(text: str, where: str) -> list[Row]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    rows, wrong = [], []
    try:
        header = [name.strip() for name in next(filter(None, reader), [])]
        if len(set(header)) < len(header):
            raise InputError(f"{where}: a column occurs twice in {', '.join(header)}; rename one")
        for fields in reader:
            if len(fields) == len(header):
                rows.append((reader.line_num, dict(zip(header, map(str.strip, fields), strict=True))))
            elif fields:  # blank lines have none
                wrong.append(f"line {reader.line_num} has {len(fields)}")
    except csv.Error as error:
        raise InputError(f"{where}: line {reader.line_num} is not CSV ({error}); correct it") from error
    if wrong:
        named = f"{len(header)} columns, but {list_first(wrong)}"
        raise InputError(f"{where}: {named}; put fields that hold a comma in double quotes")
    return rows


def _json_rows(text: str, where: str) -> list[Row]:
    rows, wrong = [], []
    for number, line in _lines(text):
        try:
            values = json.loads(line)
        except ValueError:
            values = None
        if isinstance(values, dict):
            rows.append((number, _json_row(values, f"{where}: line {number}")))
        else:
            wrong.append(f"line {number}")
    if wrong:
        raise InputError(f"{where}: not a JSON object: {list_first(wrong)}; write one object a line")
    return rows


def _json_row(values: dict[str, object], where: str) -> dict[str, str]:
    """Return the object's values as text, with NeMo's names translated."""
    row = {key: _as_written(value) for key, value in values.items()}
    if values.get("offset"):
        what = f"a segment of a longer file (offset {row['offset']})"
        raise InputError(f"{where}: {what} cannot be used; cut segments into files of their own")
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
        what = "line 1 is not a root folder, as fairseq's TSV begins with"
        raise InputError(f"{where}: {what}; write a table with columns as CSV")
    wrong = [f"line {number}" for number, line in lines[1:] if not FAIRSEQ_LINE.fullmatch(line.strip())]
    if wrong:
        what = f"not a path, a tab and a number of samples: {list_first(wrong)}"
        raise InputError(f"{where}: {what}; correct them")
    paths = [PurePosixPath(line.split("\t")[0].strip()) for _, line in lines[1:]]
    rows = []
    for (number, _), path, name in zip(lines[1:], paths, ids_from_paths(paths), strict=True):
        speaker = _speaker(path, f"{where}: line {number}")
        rows.append((number, {"id": name, "path": os.path.join(root, path), "speaker": speaker}))
    return rows


def _speaker(path: PurePosixPath, where: str) -> str:
    """Return who speaks in a file that fairseq's TSV lists, by the rule of `Manifest`."""
    if librispeech := LIBRISPEECH_NAME.fullmatch(path.stem):
        return librispeech[1]
    if len(path.parts) > 1:
        return path.parts[0]
    raise InputError(f"{where}: no folder names the speaker of {path}; write a CSV with a speaker column")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Number the lines from 1, and leave out blank ones."""
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
