"""Hugging Face data sets (optional package `datasets`)."""

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
from filelock import FileLock

from lightning_mia.corpora.base import Corpus, check_table
from lightning_mia.corpora.formats.archives import absolute, check_names, first_line
from lightning_mia.corpora.formats.named_files import download_file, file_states, is_inside, stored_audio
from lightning_mia.corpora.formats.tables import normalise_gender
from lightning_mia.corpora.formats.text import NotTextError, as_text
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, cache_root, hash_of, write_text
from lightning_mia.utilities.progress_bar import tqdm
from lightning_mia.utilities.ranges import Count, check_ranges

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

    Data: TypeAlias = Dataset | IterableDataset

INDEX, COMPLETE, AUDIO = "index.jsonl", "complete", "audio"
"""Cache folder of a split: one line per recording, the number of lines once all are there, and the audio files."""

VERSION = 1
"""Increase this whenever the index changes, so that older ones are not reused."""

BATCH = 16
"""Recordings read into memory at a time."""

Row = dict[str, str]


class HuggingFaceDataset(Corpus):
    """A split of a Hugging Face data set (requires `datasets`).

    Speakers, sessions and transcripts are columns that you name; see the data set's page for its licence. Hub data sets
    are streamed, so that at most `limit` recordings are downloaded; an interrupted download is resumed, and cached
    recordings need no network. Recordings stored as bytes are written to the cache undecoded; files in a folder stay
    there.

    Example:
        >>> corpus = HuggingFaceDataset("openslr/librispeech_asr", split="train.100", config="clean", limit=1000)
        >>> corpus.columns
        {'speaker': 'speaker_id'}
    """

    def __init__(
        self,
        path: str,
        split: str = "train",
        config: str | None = None,
        revision: str | None = None,
        limit: Count | None = None,
        audio_column: str = "audio",
        speaker_column: str = "speaker_id",
        text_column: str | None = None,
        session_column: str | None = None,
        gender_column: str | None = None,
        accent_column: str | None = None,
        id_column: str | None = None,
        cache_dir: str | None = None,
        outside_files: bool = False,
    ) -> None:
        """Specify the data set and its columns.

        Args:
            path: name on the hub (owner/name), or a folder written by `save_to_disk` or readable by `load_dataset`
                (Parquet files, audio files with a metadata.csv, …).
            split: split of the data set, such as train or test.
            config: configuration of the data set, such as a language.
            revision: commit, tag or branch on the hub; default: the newest.
            limit: number of recordings from the start of the split; default: all.
            audio_column: column of the recordings: audio feature, bytes or paths.
            speaker_column: column of the speakers.
            text_column: column of the transcripts.
            session_column: column of the recording sessions (chapters, videos).
            gender_column: column of the speakers' gender.
            accent_column: column of the speakers' accent.
            id_column: column of unique names of the recordings; default: split and row number.
            cache_dir: folder of the recordings; default: `huggingface` in the cache of lightning_mia.
            outside_files: read files outside the data set that its rows name: absolute paths, `../`, other addresses.
                Only for data sets that you trust: their author chooses what is read.

        Raises:
            InputError: the limit is not positive.
        """
        check_ranges(HuggingFaceDataset.__init__, {"limit": limit}, "corpus.")
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
        self.outside_files = outside_files

    def table(self) -> pd.DataFrame:
        """List the recordings, and download the missing ones.

        Raises:
            InputError: the data set, its split or a column does not exist, or the cache cannot be written.
        """
        source = _local_folder(self.path)
        folder = self._folder(source)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / "lock"):
                rows = _read_index(folder, self.limit)
                self._check_index(rows, folder / AUDIO, source)
                if not (folder / COMPLETE).exists() and (self.limit is None or len(rows) < self.limit):
                    rows += self._fetch(source, folder, len(rows))
        except (OSError, NotImplementedError) as error:  # the latter from file systems without locks
            raise InputError(f"Cannot write {folder}: {first_line(error)}; set cache_dir to another folder") from error
        return check_table(pd.DataFrame(rows), f"{self.path}, split {self.split}")

    def _folder(self, source: Path | None) -> Path:
        """Return the cache folder, the same for any limit."""
        location = file_states(source) if source else [self.path, self.revision]
        key = hash_of([VERSION, location, self.config, self.split, self.audio_column, self.columns])
        root = absolute(self.cache_dir) if self.cache_dir else cache_root().absolute() / "huggingface"
        return root / f"{PurePosixPath(self.path).name}-{key[:12]}"

    def _fetch(self, source: Path | None, folder: Path, n_done: int) -> list[Row]:
        """Write the recordings after the first `n_done`, and index them."""
        data = _open(self.path, source, self.config, self.split, self.revision)
        n_missing = None if self.limit is None else self.limit - n_done
        bar = tqdm(total=_total(data, self.limit), initial=n_done, desc="Downloading recordings", unit="recording")
        rows = []
        with open(folder / INDEX, "a", encoding="utf-8") as index, bar:
            for number, values in enumerate(islice(self._values(data, n_done), n_missing), start=n_done):
                row = self._row(number, values, folder / AUDIO, source)
                index.write(json.dumps(row, ensure_ascii=False) + "\n")
                index.flush()
                rows.append(row)
                bar.update()
            os.fsync(index.fileno())
        if n_missing is None or len(rows) < n_missing:
            write_text(folder / COMPLETE, str(n_done + len(rows)))
        return rows

    def _values(self, data: "Data", n_done: int) -> Iterator[dict[str, Any]]:
        """Yield the rows after the first `n_done`, audio undecoded."""
        from datasets import ClassLabel
        from datasets.exceptions import DatasetsError

        columns = [self.audio_column, *self.columns.values()]
        labels = {c: f.names for c, f in (data.features or {}).items() if isinstance(f, ClassLabel)}
        try:
            # Any other format would decode the audio with torchcodec.
            for batch in data.skip(n_done).with_format("arrow").iter(batch_size=BATCH):
                _check_columns(self.path, columns, batch.column_names)
                for row in batch.select(list(dict.fromkeys(columns))).to_pylist():
                    yield {c: labels[c][v] if c in labels and v is not None else v for c, v in row.items()}
        except (OSError, ValueError, RuntimeError, ImportError, DatasetsError) as error:
            problem = f"reading split {self.split} failed ({first_line(error)})"
            raise InputError(f"{self.path}: {problem}; run the same command again to resume") from error

    def _row(self, number: int, values: dict[str, Any], folder: Path, source: Path | None) -> Row:
        """Return a recording's index entry; write its audio if necessary."""
        row = {"id": f"{self.split}-{number:06d}"}
        row |= {name: self._text(number, column, values[column]) for name, column in self.columns.items()}
        if "gender" in row:
            row["gender"] = normalise_gender(row["gender"])
        try:
            content, path = stored_audio(values[self.audio_column])
            if not content:
                self._check_inside(path, source)
            row["path"] = _audio_file(values[self.audio_column], folder / f"{number:06d}", source)
        except ValueError as error:
            problem = f"row {number} of split {self.split}: column {self.audio_column} {error}"
            raise InputError(f"{self.path}: {problem}; set audio_column to the column of the recordings") from error
        return row

    def _text(self, number: int, column: str, value: object) -> str:
        """Return a value as text, "" if missing."""
        try:
            return as_text(value)
        except NotTextError as error:
            problem = f"row {number} of split {self.split}: column {column} holds a {error}"
            raise InputError(f"{self.path}: {problem}, not text or a number; choose another column") from error

    def _check_index(self, rows: list[Row], written: Path, source: Path | None) -> None:
        """Reject indexed files outside the data set, as of a run that allowed them."""
        for row in rows:
            if Path(row["path"]).parent != written:
                self._check_inside(row["path"], source)

    def _check_inside(self, path: str, source: Path | None) -> None:
        """Reject files outside the data set.

        Args:
            path: path or address that a row names.
            source: folder of the data set; None: on the hub.

        Raises:
            InputError: the file is outside, and `outside_files` does not allow it.
        """
        if self.outside_files or is_inside(path, source, self.path):
            return
        problem = f"a row names {path!r}, outside the data set"
        raise InputError(f"{self.path}: {problem}; set outside_files: true if you trust its author to name files")


def _local_folder(path: str) -> Path | None:
    """Return the local folder; None for hub data sets."""
    folder = absolute(path)
    if folder.is_dir():
        return folder
    if path.startswith(("/", "~", ".")) or path.count("/") > 1:
        raise InputError(f"{path}: no such folder; check the path, or give a name on the hub, as owner/name")
    return None


def _open(path: str, source: Path | None, config: str | None, split: str, revision: str | None) -> "Data":
    """Open a split without reading it."""
    try:
        import datasets
    except ImportError as error:
        remedy = "pip install datasets"
        raise InputError(f"{path}: the package datasets is not installed ({error}); {remedy}") from error
    try:
        if source and any((source / name).is_file() for name in ("state.json", "dataset_dict.json")):
            saved = datasets.load_from_disk(str(source))
            if not isinstance(saved, datasets.DatasetDict):
                return saved  # a single unnamed split
            check_names(f"split of {path}", [split], saved)
            return saved[split]
        return datasets.load_dataset(str(source or path), config, split=split, revision=revision, streaming=True)
    except (OSError, ValueError, RuntimeError, ImportError, datasets.exceptions.DatasetsError) as error:
        if source:
            problem, remedy = "not a data set that can be opened", "check the folder, the split and the config"
        else:
            problem = "no local folder, and no data set available on the hub"
            remedy = "check name, split, config and connection, or give a folder written by save_to_disk"
        raise InputError(f"{path}: {problem} ({first_line(error)}); {remedy}") from error


def _total(data: "Data", limit: int | None) -> int | None:
    """Return the number of recordings; None if unknown."""
    length = len(data) if hasattr(data, "__len__") else None
    return min((n for n in (length, limit) if n is not None), default=None)


def _check_columns(path: str, required: list[str], present: list[str]) -> None:
    missing = [column for column in required if column not in present]
    if missing:
        problem = f"no column {', '.join(missing)}; found {', '.join(present)}"
        raise InputError(f"{path}: {problem}; set audio_column, speaker_column etc. to existing columns")


def _read_index(folder: Path, limit: int | None) -> list[Row]:
    """Read the lines of the index, up to the first damaged one.

    If one of its files is missing, the index is emptied.
    """
    index = folder / INDEX
    if not index.exists():
        return []
    lines, rows = list[str](), list[Row]()
    for line in index.read_bytes().splitlines(keepends=True):
        row = _parse(line)
        if row is None:  # after an interruption or a power failure
            break
        lines.append(line.decode())
        rows.append(row)
    present = set(os.listdir(folder / AUDIO)) if (folder / AUDIO).is_dir() else set()
    paths = [Path(row["path"]) for row in rows]
    if any(path.parent == folder / AUDIO and path.name not in present for path in paths):
        rows, lines = [], []
    if not rows or len(rows) < _n_complete(folder):
        (folder / COMPLETE).unlink(missing_ok=True)  # so that the rest is fetched again
    write_text(index, "".join(lines))
    return rows[:limit]


def _n_complete(folder: Path) -> int:
    """Read how many lines a complete index has; 0 if an earlier version completed it."""
    try:
        return int((folder / COMPLETE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _parse(line: bytes) -> Row | None:
    """Parse a line of the index; None if it is incomplete or damaged."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    complete = line.endswith(b"\n") and isinstance(row, dict) and {"id", "path"} <= row.keys()
    return row if complete and all(isinstance(value, str) for value in row.values()) else None


def _audio_file(value: Any, stem: Path, source: Path | None) -> str:
    """Return the file of a recording, written if necessary.

    Args:
        value: `{"bytes": …, "path": …}` (audio feature), bytes or a path.
        stem: destination without suffix.
        source: folder of the data set, to which paths are relative.

    Raises:
        ValueError: any other value.
    """
    content, path = stored_audio(value)
    if not content and "://" not in path:
        return str((source or Path()).absolute() / path)
    file = stem.with_suffix(PurePosixPath(path.split("::")[0]).suffix or ".audio")
    if not file.exists():
        content = content or download_file(path)
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)
    return str(file)
