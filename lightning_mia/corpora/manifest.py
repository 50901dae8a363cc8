"""Manifests: CSV, JSON Lines, and those of NeMo, fairseq, Lhotse and SpeechBrain."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute
from lightning_mia.corpora.formats.clips import Part, cut_parts
from lightning_mia.corpora.formats.columns import Row, ambiguous_times, our_columns
from lightning_mia.corpora.formats.json_manifests import read_json, read_text
from lightning_mia.corpora.formats.text_manifests import (
    is_fairseq,
    is_fairseq_table,
    read_csv,
    read_fairseq,
    split_segment,
)
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import cache_root

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson", ".jsonl.gz", ".json.gz")
PLACEHOLDER = re.compile(r"(\{\w+\}|\$\{?\w+\}?)/?")
"""Start of a path that SpeechBrain replaces by a folder: `{data_root}` or `$data_folder`."""

DEFAULT_ID = "path as written"
"""Key of a row's default id, until it is known whether the row is a segment."""

CHANNEL_LETTERS = {"A": 0, "B": 1}
"""Sides of a telephone call."""


class Manifest(Corpus):
    """Recordings listed in a CSV, JSON Lines or fairseq file.

    CSV: a header and the columns `id,path,speaker[,text][,duration][,session][,gender][,accent][,member]`, in any
    order. JSON Lines: objects with the same keys. Usual names are read too (`audio_filepath`, `wav`, `file_name`,
    `spk_id`, `speaker_id` …), and the id defaults to the path. fairseq TSV: the root folder, then `relative/path<TAB>
    number of samples`; the id is the path without suffix, the speaker its first folder, or the first number of
    LibriSpeech's file names (`19-198-0000.flac`). Also read: Lhotse's cuts, or recordings beside supervisions, and
    SpeechBrain's CSV and JSON.

    Segments of long recordings are cut once into files of the cache: `offset` and `duration` (seconds), `start` and
    `stop` (samples, SpeechBrain), `path:start:samples` (fairseq). `channel` selects one channel, from 0 or A and B, so
    that each side of a telephone call can be a speaker. Without them, `duration` is compared with the audio.

    Relative paths start from the manifest's folder. `member` is 1, 0, `held_back`, `sibling` or empty (auxiliary). All
    values but the times are text, as written ("0001", "NA"). Other columns are ignored.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "speech.csv"
        ...     _ = path.write_text("id,path,speaker,member\\na,a.wav,Ann,1\\nb,b.wav,Bob,0\\n")
        ...     Manifest(str(path)).table()["member"].tolist()
        ['1', '0']
    """

    def __init__(self, path: str, root: str | None = None, cache_dir: str | None = None) -> None:
        """Specify the manifest.

        Args:
            path: the file. `.jsonl`, `.json` and `.ndjson` (also with `.gz`) are read as JSON, `.tsv` as fairseq's TSV;
                other formats are detected from the first lines.
            root: folder from which relative paths start, and that replaces SpeechBrain's `{data_root}` or
                `$data_folder`; default: the manifest's folder.
            cache_dir: folder of cut segments; default: `clips/manifest` in the cache of lightning_mia.
        """
        self.path = path
        self.root = root
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """Read the manifest, and cut the missing segments."""
        rows = [(number, _with_default_id(our_columns(row))) for number, row in self._read()]
        if not rows:
            raise InputError(f"{self.path}: no utterances; an empty manifest cannot be used")
        rows = [(number, self._resolved(row, f"{self.path}: line {number}")) for number, row in rows]
        rows = self._cut(rows)
        lines = pd.Index([line for line, _ in rows], name="line")
        return check_table(pd.DataFrame([row for _, row in rows], index=lines, dtype=object), self.path)

    def _read(self) -> list[Row]:
        text = read_text(self.path)
        if self.path.lower().endswith(JSON_SUFFIXES) or text.lstrip().startswith("{"):
            return read_json(text, self.path)
        if is_fairseq_table(text):
            return [(number, _fairseq_segment(row)) for number, row in read_csv(text, self.path, "\t")]
        if Path(self.path).suffix.lower() == ".tsv" or is_fairseq(text):
            return read_fairseq(text, self.path)
        return read_csv(text, self.path)

    def _resolved(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        """Return a row with an absolute path, if it has one."""
        path = row.get("path")
        if not isinstance(path, str) or not path:
            return row
        if placeholder := PLACEHOLDER.match(path):
            if self.root is None:
                raise InputError(f"{where}: {placeholder[1]} stands for a folder; set root to it")
            path = path[placeholder.end() :]
        folder = absolute(self.root) if self.root else os.path.dirname(os.path.abspath(os.path.expanduser(self.path)))
        return {**row, "path": os.path.abspath(os.path.join(folder, os.path.expanduser(path.strip())))}

    def _cut(self, rows: list[Row]) -> list[Row]:
        """Replace recordings by their parts, where rows ask for parts."""
        parts = {number: part for number, row in rows if (part := _part(row, f"{self.path}: line {number}"))}
        wanted = [(number, row["path"]) for number, row in rows if number in parts]
        requests = [(path, parts[number], f"{self.path}: line {number}") for number, path in wanted]
        cache_dir = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "clips" / "manifest"
        files = {number: file for (number, _), file in zip(wanted, cut_parts(requests, cache_dir), strict=True)}
        return [(number, _replaced(row, parts.get(number), files.get(number))) for number, row in rows]


def _with_default_id(row: dict[str, Any]) -> dict[str, Any]:
    """Note the path as written, from which the id derives if there is none."""
    return row if "id" in row or "path" not in row else {**row, DEFAULT_ID: row["path"]}


def _replaced(row: dict[str, Any], part: Part | None, file: str | None) -> dict[str, Any]:
    """Return a row with the file of its part, and an id."""
    default_id = row.pop(DEFAULT_ID, None)
    is_part = part is not None and file != row["path"]
    if default_id is not None:
        row["id"] = f"{default_id}#{part.name}" if part is not None and is_part else default_id
    return {**row, "path": file} if is_part else row


def _fairseq_segment(row: dict[str, Any]) -> dict[str, Any]:
    """Split the segment off the column `audio` of fairseq's tables."""
    segment = split_segment(row["audio"])
    return {**row, **segment, "audio": segment["path"]}


def _part(row: dict[str, Any], where: str) -> Part | None:
    """Return the part of a recording that a row asks for; None for all of it.

    `duration` is dropped from the row if it is not that of the part.
    """
    if times := ambiguous_times(row):
        raise InputError(f"{where}: {', '.join(times)}: of unknown unit; give offset and duration in seconds")
    if not isinstance(row.get("path"), str) or not row["path"]:
        return None  # reported later
    channel = _channel(row.get("channel"), where)
    if _is_given(row, "start") and _is_given(row, "stop"):
        row.pop("duration", None)  # SpeechBrain's is that of the recording
        start, stop = _number(row, "start", where), _number(row, "stop", where)
        if start % 1 or stop % 1 or stop <= start:
            raise InputError(f"{where}: samples from {start:g} to {stop:g}; start and stop count samples")
        return Part(int(start), int(stop - start), in_samples=True, channel=channel)
    if not _is_given(row, "offset"):
        return None if channel is None else Part(channel=channel)
    length = _number(row, "duration", where) if _is_given(row, "duration") else None
    return Part(_number(row, "offset", where), length, channel=channel)


def _is_given(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name)
    return value is not None and value != "" and value == value  # NaN differs from itself


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    """Return a time that is not negative."""
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError(f"{where}: {name} is {row[name]!r}; give a number of at least 0")
    return value


def _channel(value: Any, where: str) -> int | None:
    """Return a channel from 0; None for all channels."""
    text = str(value).strip() if value is not None and value == value else ""
    if not text:
        return None
    number = CHANNEL_LETTERS.get(text.upper(), text.removesuffix(".0"))
    if not str(number).isdecimal():
        raise InputError(f"{where}: channel is {text!r}; give a number from 0, or A or B")
    return int(number)
