"""Decode many files into packs, one for each source folder.

A pack only grows: a file that is new or has changed is appended, and all others are reused by every later table.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import soundfile as sf
from filelock import FileLock

from lightning_mia.corpora.audio import SAMPLE_RATE, BadAudioError
from lightning_mia.corpora.audio.decoding import decode_file
from lightning_mia.corpora.audio.external import decoder_state
from lightning_mia.corpora.audio.reading import UNKNOWN_LENGTH
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import file_state, hash_of, write_text
from lightning_mia.utilities.progress_bar import tqdm

SAMPLES, INDEX, LOCK = "samples.int16", "index.jsonl", "lock"
ENTRIES = "entries.jsonl"
"""Lengths and hashes of files that are not decoded; see `entries`."""
VERSION = 2
"""Increase this whenever decoding changes, so that older packs are not reused."""

BATCH = 64
"""Files decoded between two writes; after an interruption, they are decoded again."""

CHECKSUM, CHECKSUM_DIGITS = "line_sha256", 16

REMEDY = "free space or set LIGHTNING_MIA_CACHE to another folder"


@dataclass(frozen=True)
class PackedFile:
    """Position of one file in a pack, if usable."""

    path: str
    state: str = ""  # hash of the decoder and of the file's size, times and inode
    offset: int = 0  # samples
    n_samples: int = 0
    sha256: str = ""  # of the int16 samples, little-endian
    source_rate: int = 0  # Hz
    source_channels: int = 0
    source_format: str = ""
    source_subtype: str = ""
    n_clipped: int = 0  # samples beyond full scale
    reason: str = ""  # why the file is unusable; "" if usable
    pack: str = ""  # its folder; not stored


def open_packs(paths: Iterable[str], cache_dir: Path, progress: bool = True) -> list[PackedFile]:
    """Look up these files; decode those that are new or have changed.

    An interrupted run keeps what it has decoded. Other processes wait for the one that decodes a folder.

    Returns:
        One entry for each path, by folder and path.

    Raises:
        InputError: the cache cannot be written, or the disk is too small.
    """
    states = {path: state_of(path) for path in sorted(set(paths), key=by_folder)}
    try:
        known = {
            path: file for folder, _ in source_folders(states) for path, file in look_up(cache_dir, folder, states)
        }
        if missing := [path for path in states if path not in known]:
            known |= _decode_missing(missing, states, cache_dir, progress)
    except (OSError, NotImplementedError) as error:  # the latter from file systems without locks
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot write the audio cache in {cache_dir}: {cause}; {REMEDY}") from error
    return [known[path] for path in states]


def pack_folder(cache_dir: Path, folder: str) -> Path:
    """Return the pack of a source folder."""
    return cache_dir / hash_of(folder)[:32]


def read_index(pack: Path, name: str = INDEX) -> list[PackedFile]:
    """Read the entries of a pack, up to the first damaged line.

    Args:
        pack: its folder.
        name: file of the entries.
    """
    entries: list[PackedFile] = []
    try:
        with open(pack / name, encoding="ascii") as file:
            for line in file:
                if not line.endswith("\n"):  # being written, or half written by a killed process
                    break
                entries.append(replace(_entry(json.loads(line)), pack=str(pack)))
    except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    return entries


def _entry(fields: dict[str, Any]) -> PackedFile:
    """Return the entry of a line.

    Raises:
        ValueError: it is not what was written; earlier versions wrote no checksum.
    """
    checksum = fields.pop(CHECKSUM, None)
    if checksum not in (None, hash_of(fields)[:CHECKSUM_DIGITS]):
        raise ValueError("damaged")
    return PackedFile(**fields)


def by_folder(path: str) -> tuple[str, str]:
    """Return the order of paths in which folders stay together."""
    return os.path.dirname(path), path


def source_folders(paths: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder with its paths, which are sorted by `by_folder`."""
    for folder, group in groupby(paths, os.path.dirname):
        yield folder, list(group)


def state_of(path: str) -> str:
    """Hash what tells whether a file has changed.

    The hash of an unreadable file is empty; it may become readable.
    """
    return hash_of([VERSION, *decoder_state(), file_state(path)])[:32] if os.access(path, os.R_OK) else ""


def look_up(cache_dir: Path, folder: str, states: Mapping[str, str]) -> Iterator[tuple[str, PackedFile]]:
    """Yield the current entries of a source folder."""
    pack = pack_folder(cache_dir, folder)
    if not pack.is_dir():
        return
    for entry in _complete(pack):
        if states.get(entry.path) == entry.state:
            yield entry.path, entry


def _complete(pack: Path) -> list[PackedFile]:
    """Return the entries whose samples are in the pack."""
    samples = pack / SAMPLES
    size = samples.stat().st_size if samples.exists() else 0
    return [entry for entry in read_index(pack) if 2 * (entry.offset + entry.n_samples) <= size]


def _decode_missing(
    missing: Sequence[str], states: Mapping[str, str], cache_dir: Path, progress: bool
) -> dict[str, PackedFile]:
    cache_dir.mkdir(parents=True, exist_ok=True)
    _check_disk_space(missing, cache_dir)
    decoded: dict[str, PackedFile] = {}
    created: list[Path] = []
    try:
        with (
            ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
            tqdm(total=len(missing), desc="Decoding audio", unit="file", disable=not progress) as bar,
        ):
            for folder, group in source_folders(missing):
                pack = pack_folder(cache_dir, folder)
                if not pack.exists():
                    pack.mkdir()
                    created.append(pack)
                with FileLock(pack / LOCK):
                    decoded |= dict(look_up(cache_dir, folder, states))  # another process may have been faster
                    remaining = [path for path in group if path not in decoded]
                    bar.update(len(group) - len(remaining))
                    decoded |= _append(pack, remaining, states, pool, bar)
    except (OSError, InputError):  # free the space of a full disk; Ctrl-C keeps what is complete for the next run
        for pack in created:
            shutil.rmtree(pack, ignore_errors=True)
        raise
    return decoded


def _append(
    pack: Path, paths: Sequence[str], states: Mapping[str, str], pool: ThreadPoolExecutor, bar: tqdm
) -> dict[str, PackedFile]:
    """Decode files in threads, and append them in their order."""
    if not paths:
        return {}
    _drop_incomplete(pack)
    appended: dict[str, PackedFile] = {}
    with open(pack / SAMPLES, "ab") as samples, open(pack / INDEX, "a", encoding="ascii") as index:
        offset = samples.tell() // 2
        for start in range(0, len(paths), BATCH):
            lines = []
            for entry, pcm in pool.map(decode_entry, paths[start : start + BATCH]):
                entry = replace(entry, state=states[entry.path], offset=offset, pack=str(pack))
                appended[entry.path], offset = entry, offset + entry.n_samples
                samples.write(pcm)
                lines.append(index_line(entry))
            samples.flush()  # before the index, which must not list missing samples
            index.writelines(lines)
            index.flush()
            bar.update(len(lines))
        os.fsync(samples.fileno())
        os.fsync(index.fileno())
    return appended


def _drop_incomplete(pack: Path) -> None:
    """Remove what a killed process or a power failure left half written."""
    complete, samples, index = _complete(pack), pack / SAMPLES, pack / INDEX
    samples.touch()
    index.touch()
    os.truncate(samples, 2 * max((entry.offset + entry.n_samples for entry in complete), default=0))
    if (lines := "".join(map(index_line, complete)).encode("ascii")) != index.read_bytes():
        write_text(index, lines.decode("ascii"))


def index_line(entry: PackedFile) -> str:
    """Return the line of an entry, without its folder."""
    fields = {name: value for name, value in asdict(entry).items() if name != "pack"}
    return json.dumps({**fields, CHECKSUM: hash_of(fields)[:CHECKSUM_DIGITS]}) + "\n"


def decode_entry(path: str) -> tuple[PackedFile, bytes]:
    """Decode a file: its entry, without a position, and its samples."""
    try:
        decoded = decode_file(path)
    except BadAudioError as error:
        return PackedFile(path, reason=str(error)), b""
    pcm = decoded.samples.astype("<i2").tobytes()
    entry = PackedFile(
        path,
        n_samples=len(decoded.samples),
        sha256=hashlib.sha256(pcm).hexdigest(),
        source_rate=decoded.source_rate,
        source_channels=decoded.source_channels,
        source_format=decoded.source_format,
        source_subtype=decoded.source_subtype,
        n_clipped=decoded.n_clipped,
    )
    return entry, pcm


def _check_disk_space(paths: Sequence[str], folder: Path) -> None:
    """Reject files that would not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if free > 32 * sum(os.path.getsize(path) for path in paths if os.path.isfile(path)):
        return  # speech is hardly ever compressed 32-fold; reading all headers would take time
    needed = sum(_seconds(path) for path in paths) * SAMPLE_RATE * 2
    if needed > free:
        problem = f"needs {needed / 1e9:.2f} GB in {folder}, where {free / 1e9:.2f} GB are free"
        raise InputError(f"The audio cache {problem}; {REMEDY}")


def _seconds(path: str) -> float:
    try:
        info = sf.info(os.fsencode(path))
    except (sf.LibsndfileError, TypeError):
        return 0.0
    return info.duration if info.frames < UNKNOWN_LENGTH else 0.0
