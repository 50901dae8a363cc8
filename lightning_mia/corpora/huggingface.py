"""Data sets of Hugging Face's library `datasets`, which is an optional part of this package."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
from filelock import FileLock
from tqdm import tqdm

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names, first_line
from lightning_mia.corpora.formats.tables import normalise_gender
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, cache_root, hash_of

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

    Data: TypeAlias = Dataset | IterableDataset

INDEX, ALL_THERE, AUDIO = "index.jsonl", "complete", "audio"
"""In a corpus's folder: a line for every recording, a mark that the source has no more, and the files."""

VERSION = 1
"""Raised whenever the index changes, so that older ones are not taken for new ones."""

BATCH = 16
"""Recordings read at a time; all their bytes are in memory at once."""

Row = dict[str, str]


class HuggingFaceDataset(Corpus):
    """A split of a data set on the Hugging Face hub or in a folder; wants the package `datasets`.

    Recordings are not decoded by `datasets`. What it holds as bytes is written once to the cache; files that lie
    in a folder stay where they are. A hub's data set is streamed, so that no more than `limit` recordings are
    fetched; an interrupted fetch goes on where it stopped, and what was fetched needs no network any more.
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        config: str | None = None,
        revision: str | None = None,
        limit: int | None = None,
        audio_column: str = "audio",
        speaker_column: str = "speaker_id",
        text_column: str | None = None,
        session_column: str | None = None,
        gender_column: str | None = None,
        accent_column: str | None = None,
        id_column: str | None = None,
        cache_dir: str | None = None,
    ) -> None:
        """Name the data set and its columns.

        Args:
            path: a folder that `save_to_disk` wrote or that `load_dataset` reads (Parquet files, audio files with a
                metadata.csv, …), or a name on the hub, as owner/name.
            split: train, test or whatever the data set has.
            config: the part of the data set (a language, say), where there are several.
            revision: commit, tag or branch of a data set on the hub; by default its newest.
            limit: number of recordings, the first of the split; by default all.
            audio_column: column of the recordings: an audio feature, bytes, or paths.
            speaker_column: column that says who speaks.
            text_column: column of the transcripts, where they are wanted.
            session_column: column of the recording session (a chapter, a video), where it is wanted.
            gender_column: column of the speaker's gender, where it is wanted.
            accent_column: column of the speaker's accent, where it is wanted.
            id_column: column of unique names of the recordings; by default they are the split and the row's number.
            cache_dir: folder to keep the recordings in; default: `huggingface` in the cache of lightning_mia.

        Raises:
            InputError: the limit is not positive.
        """
        if limit is not None and limit < 1:
            raise InputError(f"Hugging Face data set: limit is {limit}; give 1 or more, or none")
        self.path, self.split, self.config, self.revision, self.limit = path, split, config, revision, limit
        self.audio_column = audio_column
        columns = {
            "id": id_column,
            "speaker": speaker_column,
            "text": text_column,
            "session": session_column,
            "gender": gender_column,
            "accent": accent_column,
        }
        self.columns = {name: column for name, column in columns.items() if column is not None}
        self.cache_dir = cache_dir

    def table(self) -> pd.DataFrame:
        """List the recordings, fetching those that no earlier run has fetched.

        Raises:
            InputError: the data set, a split or a column of it cannot be found, or the cache cannot be written to.
        """
        source = _local_folder(self.path)
        folder = self._folder(source)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock"):
                rows = _whole_rows(folder, self.limit)
                if not (folder / ALL_THERE).exists() and (self.limit is None or len(rows) < self.limit):
                    rows += self._fetch(source, folder, len(rows))
        except (OSError, NotImplementedError) as error:  # the latter from file systems that cannot lock
            raise InputError(f"Cannot write {folder}: {first_line(error)}; set cache_dir to another folder") from error
        return check_table(pd.DataFrame(rows), f"{self.path}, split {self.split}")

    def _folder(self, source: Path | None) -> Path:
        """The cache folder of this data set, split and choice of columns; the limit may change."""
        where = _facts(source) if source else [self.path, self.revision]
        key = hash_of([VERSION, where, self.config, self.split, self.audio_column, self.columns])
        root = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "huggingface"
        return root / f"{PurePosixPath(self.path).name}-{key[:12]}"

    def _fetch(self, source: Path | None, folder: Path, n_done: int) -> list[Row]:
        """Write the recordings that follow the first `n_done`, and enter each in the index."""
        data = _open(self.path, source, self.config, self.split, self.revision)
        wanted = None if self.limit is None else self.limit - n_done
        bar = tqdm(total=_total(data, self.limit), initial=n_done, desc="Fetching recordings", unit="recording")
        rows = []
        with open(folder / INDEX, "a", encoding="utf-8") as index, bar:
            for number, values in enumerate(islice(self._values(data, n_done), wanted), start=n_done):
                row = self._row(number, values, folder / AUDIO, source)
                index.write(json.dumps(row, ensure_ascii=False) + "\n")
                index.flush()
                rows.append(row)
                bar.update()
        if wanted is None or len(rows) < wanted:
            (folder / ALL_THERE).touch()
        return rows

    def _values(self, data: "Data", n_done: int) -> Iterator[dict[str, Any]]:
        """Yield the rows that follow the first `n_done` as Arrow stores them, audio undecoded."""
        from datasets import ClassLabel
        from datasets.exceptions import DatasetsError

        wanted = [self.audio_column, *self.columns.values()]
        labels = {c: f.names for c, f in (data.features or {}).items() if isinstance(f, ClassLabel)}
        try:
            # In Arrow's format, because every other one runs audio through torchcodec.
            for batch in data.skip(n_done).with_format("arrow").iter(batch_size=BATCH):
                _check_columns(self.path, wanted, batch.column_names)
                for row in batch.select(list(dict.fromkeys(wanted))).to_pylist():
                    yield {c: labels[c][v] if c in labels and v is not None else v for c, v in row.items()}
        except (OSError, ValueError, RuntimeError, ImportError, DatasetsError) as error:
            remedy = "start again to go on from there"
            raise InputError(
                f"{self.path}: reading split {self.split} broke off ({first_line(error)}); {remedy}"
            ) from error

    def _row(self, number: int, values: dict[str, Any], folder: Path, source: Path | None) -> Row:
        """Return what the index says of a recording, after writing it to `folder` if there is no file of it."""
        row = {"id": f"{self.split}-{number:06d}"}
        row |= {name: _as_text(values[column]) for name, column in self.columns.items()}
        if "gender" in row:
            row["gender"] = normalise_gender(row["gender"])
        try:
            row["path"] = _file_of(values[self.audio_column], folder / f"{number:06d}", source)
        except ValueError as error:
            what = f"row {number} of split {self.split}: column {self.audio_column} {error}"
            raise InputError(f"{self.path}: {what}; set audio_column to the column of the recordings") from error
        return row


def _local_folder(path: str) -> Path | None:
    """Return the folder, or None for a name on the hub."""
    folder = absolute(path)
    if folder.is_dir():
        return folder
    if path.startswith(("/", "~", ".")) or path.count("/") > 1:
        raise InputError(f"{path}: no such folder; check the path, or give a name on the hub, as owner/name")
    return None


def _facts(folder: Path) -> list[tuple[str, int, int]]:
    """Name, bytes and time of modification (ns) of every file: another of them is another data set."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    stats = [path.stat() for path in files]
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in zip(files, stats, strict=True)]


def _open(path: str, source: Path | None, config: str | None, split: str, revision: str | None) -> "Data":
    """Open a split without reading it."""
    try:
        import datasets
    except ImportError as error:
        remedy = "pip install 'lightning-mia[datasets]'"
        raise InputError(f"{path}: the package datasets is not installed ({error}); {remedy}") from error
    try:
        if source and any((source / name).is_file() for name in ("state.json", "dataset_dict.json")):
            saved = datasets.load_from_disk(str(source))
            if not isinstance(saved, datasets.DatasetDict):
                return saved  # a single split, without a name
            check_names(f"split of {path}", [split], saved)
            return saved[split]
        return datasets.load_dataset(str(source or path), config, split=split, revision=revision, streaming=True)
    except (OSError, ValueError, RuntimeError, ImportError, datasets.exceptions.DatasetsError) as error:
        if source:
            what, remedy = "not a data set that can be opened", "check the folder, the split and the config"
        else:
            what = "no folder here, and no data set that the hub gives"
            remedy = "check name, split, config and connection, or give a folder that save_to_disk wrote"
        raise InputError(f"{path}: {what} ({first_line(error)}); {remedy}") from error


def _total(data: "Data", limit: int | None) -> int | None:
    """Number of recordings for the progress bar; None where a stream does not tell."""
    length = len(data) if hasattr(data, "__len__") else None
    return min((n for n in (length, limit) if n is not None), default=None)


def _check_columns(path: str, wanted: list[str], found: list[str]) -> None:
    missing = [column for column in wanted if column not in found]
    if missing:
        what = f"no column {', '.join(missing)}; found {', '.join(found)}"
        raise InputError(f"{path}: {what}; set audio_column, speaker_column and the like")


def _whole_rows(folder: Path, limit: int | None) -> list[Row]:
    """Read the index as far as it is whole; begin anew where a file that it names in `folder` is gone."""
    index = folder / INDEX
    if not index.exists():
        return []
    whole = [line for line in index.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    rows = [json.loads(line) for line in whole]
    present = set(os.listdir(folder / AUDIO)) if (folder / AUDIO).is_dir() else set()
    paths = [Path(row["path"]) for row in rows]
    if any(path.parent == folder / AUDIO and path.name not in present for path in paths):
        (folder / ALL_THERE).unlink(missing_ok=True)
        rows, whole = [], []
    index.write_text("".join(whole), encoding="utf-8")  # without the line that an interrupted run left half
    return rows[:limit]


def _file_of(value: Any, stem: Path, source: Path | None) -> str:
    """Return the file of a recording, written as `stem` and a suffix where there is none.

    Args:
        value: `{"bytes": …, "path": …}` as the audio feature stores it, or bytes, or a path.
        stem: where to write, without suffix.
        source: the data set's folder, where relative paths start.

    Raises:
        ValueError: it is none of these.
    """
    stored = value if isinstance(value, dict) else {"bytes" if isinstance(value, bytes) else "path": value}
    content, path = stored.get("bytes"), stored.get("path") or ""
    if not isinstance(path, str) or not (content or path):
        raise ValueError("holds neither bytes nor a path")
    if not content and "://" not in path:
        return str((source or Path()).absolute() / path)
    file = stem.with_suffix(PurePosixPath(path.split("::")[0]).suffix or ".audio")
    if not file.exists():
        content = content or _fetched(path)
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)
    return str(file)


def _fetched(address: str) -> bytes:
    """Read a file that the data set only names: on the hub, or within an archive."""
    import fsspec

    try:
        with fsspec.open(address, "rb") as file:
            return bytes(file.read())
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"{address}: cannot be read ({first_line(error)}); check the connection and start again"
        ) from error


def _as_text(value: object) -> str:
    return "" if value is None else str(value)
