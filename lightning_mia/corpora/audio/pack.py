"""Decode many files into one memory-mappable pack, atomically."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import soundfile as sf
from filelock import FileLock
from tqdm import tqdm

from lightning_mia.corpora.audio import SAMPLE_RATE, BadAudioError
from lightning_mia.corpora.audio.decoding import decode_file
from lightning_mia.corpora.audio.external import decoder_state
from lightning_mia.corpora.audio.reading import UNKNOWN_LENGTH
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of

SAMPLES, INDEX = "samples.int16", "index.jsonl"
VERSION = 2
"""Increase this whenever decoding changes, so that older packs are not reused."""

BATCH = 64
"""Files decoded between two writes; after an interruption, they are decoded again."""

REMEDY = "free space or set LIGHTNING_MIA_CACHE to another folder"


@dataclass(frozen=True)
class PackedFile:
    """Position of one file in the pack, if usable."""

    path: str
    offset: int = 0  # samples
    n_samples: int = 0
    sha256: str = ""  # of the int16 samples, little-endian
    source_rate: int = 0  # Hz
    source_channels: int = 0
    source_format: str = ""
    source_subtype: str = ""
    n_clipped: int = 0  # samples beyond full scale
    reason: str = ""  # why the file is unusable; "" if usable


@dataclass(frozen=True)
class Pack:
    """A complete pack: one file of little-endian int16 samples."""

    samples: Path
    files: list[PackedFile]


def open_pack(paths: Sequence[str], cache_dir: Path, progress: bool = True) -> Pack:
    """Open the pack of these files; decode them if necessary.

    A pack is named by the hash of every file's path, size and modification time. It is written under a temporary name;
    the next run continues where an interrupted one stopped. Other processes wait for the first one.

    Raises:
        InputError: the cache cannot be written, or the disk is too small.
    """
    paths = sorted(set(paths))
    folder = cache_dir / _key(paths)
    try:
        if not folder.exists():
            cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.exists():
                    _write_pack(paths, folder, progress)
    except (OSError, NotImplementedError) as error:  # the latter from file systems without locks
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot write the audio cache in {cache_dir}: {cause}; {REMEDY}") from error
    return Pack(folder / SAMPLES, _read_index(folder / INDEX))


def _key(paths: Sequence[str]) -> str:
    decoder = [VERSION, *decoder_state()]
    return hash_of([decoder, [_file_state(path) for path in paths]])[:32]


def _file_state(path: str) -> tuple[str, int, int]:
    """Return path, size (bytes) and modification time (ns).

    Both are −1 for unreadable files, which may become readable.
    """
    if not os.access(path, os.R_OK):
        return path, -1, -1
    stat = os.stat(path)
    return path, stat.st_size, stat.st_mtime_ns


def _write_pack(paths: Sequence[str], folder: Path, progress: bool) -> None:
    """Write the pack, continuing an interrupted run."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(exist_ok=True)
    try:
        done = len(_resume(partial))
        _check_disk_space(paths[done:], partial)
        with (
            open(partial / SAMPLES, "ab") as samples,
            open(partial / INDEX, "a", encoding="ascii") as index,
            tqdm(total=len(paths), initial=done, desc="Decoding audio", unit="file", disable=not progress) as bar,
        ):
            for batch in _decode(paths[done:], offset=samples.tell() // 2):
                samples.writelines(pcm for _, pcm in batch)
                samples.flush()  # before the index, which must not list missing samples
                index.writelines(json.dumps(asdict(entry)) + "\n" for entry, _ in batch)
                index.flush()
                bar.update(len(batch))
            os.fsync(samples.fileno())
            os.fsync(index.fileno())
        os.rename(partial, folder)
    except (OSError, InputError):  # free the space of a full disk; Ctrl-C keeps the part for the next run
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _decode(paths: Sequence[str], offset: int) -> Iterator[list[tuple[PackedFile, bytes]]]:
    """Decode in threads, in the order of the paths."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), BATCH):
            batch = []
            for entry, pcm in pool.map(_decode_file, paths[start : start + BATCH]):
                batch.append((replace(entry, offset=offset), pcm))
                offset += entry.n_samples
            yield batch


def _decode_file(path: str) -> tuple[PackedFile, bytes]:
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


def _resume(partial: Path) -> list[PackedFile]:
    """Keep the complete files of an interrupted run."""
    samples, index = partial / SAMPLES, partial / INDEX
    samples.touch()
    index.touch()
    size = samples.stat().st_size
    done = [entry for entry in _read_index(index) if 2 * (entry.offset + entry.n_samples) <= size]
    os.truncate(samples, 2 * sum(entry.n_samples for entry in done))
    index.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in done), encoding="ascii")
    return done


def _read_index(path: Path) -> list[PackedFile]:
    with open(path, encoding="ascii") as file:
        return [PackedFile(**json.loads(line)) for line in file if line.endswith("\n")]


def _check_disk_space(paths: Sequence[str], folder: Path) -> None:
    """Reject a pack that would not fit on the disk."""
    free = shutil.disk_usage(folder).free
    if free > 32 * sum(os.path.getsize(path) for path in paths if os.path.isfile(path)):
        return  # speech is hardly ever compressed 32-fold; reading all headers would take time
    needed = sum(_seconds(path) for path in paths) * SAMPLE_RATE * 2
    if needed > free:
        problem = f"needs {needed / 1e9:.2f} GB in {folder.parent}, where {free / 1e9:.2f} GB are free"
        raise InputError(f"The audio cache {problem}; {REMEDY}")


def _seconds(path: str) -> float:
    try:
        info = sf.info(os.fsencode(path))
    except (sf.LibsndfileError, TypeError):
        return 0.0
    return info.duration if info.frames < UNKNOWN_LENGTH else 0.0
