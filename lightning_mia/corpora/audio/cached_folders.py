"""List and clear the cache of decoded audio."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.pack import ENTRIES, INDEX, LOCK, SAMPLES, read_index
from lightning_mia.utilities.errors import InputError

MAX_ROWS = 20
"""Folders listed; more are summed up by their parent folders."""


@dataclass(frozen=True)
class CachedFolder:
    """Decoded audio of one or more source folders.

    Attributes:
        folder: source folder; "" for packs that this version cannot read.
        packs: folders of the cache.
        n_recordings: recordings.
        n_bytes: size on the disk.

    Example:
        >>> CachedFolder("/data/librispeech", (), n_recordings=2, n_bytes=64_000).hours
        0.0005555555555555556
    """

    folder: str
    packs: tuple[Path, ...]
    n_recordings: int
    n_bytes: int

    @property
    def hours(self) -> float:
        """Hours of audio, including versions of files that have changed."""
        return self.n_bytes / 2 / SAMPLE_RATE / 3600


def cached_folders(cache_dir: Path) -> list[CachedFolder]:
    """List what is cached, by source folder."""
    return sorted(_each_pack(cache_dir), key=lambda cached: cached.folder)


def listing(folders: list[CachedFolder], cache_dir: Path) -> str:
    """Describe cached folders in a table, one line for each.

    Args:
        folders: cached source folders.
        cache_dir: folder of the cache.
    """
    if not folders:
        return f"no decoded audio in {cache_dir}"
    rows = [("recordings", "hours", "GB", "source folder")]
    rows += [
        (
            str(cached.n_recordings),
            f"{cached.hours:.2f}",
            f"{cached.n_bytes / 1e9:.3f}",
            cached.folder or "(unreadable)",
        )
        for cached in [*_summed(folders), _sum("total", folders)]
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([*(cell.rjust(w) for cell, w in zip(row[:3], widths[:3], strict=True)), row[3]]) for row in rows]
    return "\n".join([*lines, f"in {cache_dir}"])


def clear(cache_dir: Path, folder: str | None = None) -> list[CachedFolder]:
    """Delete the decoded audio of a source folder, or all.

    Args:
        cache_dir: folder of the cache.
        folder: source folder, with all folders inside it; None: all.

    Returns:
        What was deleted.

    Raises:
        InputError: nothing of this folder is cached, or a running command decodes it.
    """
    root = None if folder is None else os.path.abspath(os.path.expanduser(folder))
    found = [
        cached
        for cached in cached_folders(cache_dir)
        if root is None or (cached.folder and Path(os.path.abspath(cached.folder)).is_relative_to(root))
    ]
    if root is not None and not found:
        raise InputError(
            f"{cache_dir} holds no decoded audio of {root}; `lightning-mia cache list` shows what it holds"
        )
    for pack in [pack for cached in found for pack in cached.packs]:
        _delete(pack)
    return found


def _each_pack(cache_dir: Path) -> Iterator[CachedFolder]:
    for pack in sorted(cache_dir.iterdir()) if cache_dir.is_dir() else []:
        if any((pack / name).is_file() for name in (SAMPLES, INDEX, ENTRIES)):
            entries = [*read_index(pack), *read_index(pack, ENTRIES)]
            folder = os.path.dirname(entries[0].path) if entries else ""
            size = sum(file.stat().st_size for file in pack.iterdir() if file.name == SAMPLES)
            yield CachedFolder(folder, (pack,), len({entry.path for entry in entries}), size)


def _summed(folders: list[CachedFolder]) -> list[CachedFolder]:
    """Sum up folders by their parents, until there are few."""
    depth = max(len(Path(cached.folder).parts) for cached in folders)
    while True:
        groups: dict[str, list[CachedFolder]] = {}
        for cached in folders:
            name = str(Path(*Path(cached.folder).parts[:depth])) if cached.folder else ""
            groups.setdefault(name, []).append(cached)
        if len(groups) <= MAX_ROWS or depth <= 1:
            return [_sum(name, group) for name, group in groups.items()]
        depth -= 1


def _row(cached: CachedFolder) -> tuple[str, str, str, str]:
    name = cached.folder or "(unreadable)"
    return str(cached.n_recordings), f"{cached.hours:.2f}", f"{cached.n_bytes / 1e9:.3f}", name


def _sum(name: str, folders: list[CachedFolder]) -> CachedFolder:
    packs = tuple(pack for cached in folders for pack in cached.packs)
    n_recordings = sum(cached.n_recordings for cached in folders)
    return CachedFolder(name, packs, n_recordings, sum(cached.n_bytes for cached in folders))


def _delete(pack: Path) -> None:
    try:
        with FileLock(pack / LOCK, timeout=0):
            for name in (INDEX, ENTRIES, SAMPLES):
                (pack / name).unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(f"A running command decodes audio into {pack}; wait until it has ended") from error
    except OSError as error:
        raise InputError(f"Cannot delete {pack}: {error.strerror or error}; check its permissions") from error
    shutil.rmtree(pack, ignore_errors=True)
