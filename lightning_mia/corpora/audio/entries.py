"""Lengths and hashes of decoded audio, without its samples.

They are kept beside the packs: for a large corpus, reading every file takes most of the time of drawing a split.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from lightning_mia.corpora.audio.pack import (
    BATCH,
    ENTRIES,
    LOCK,
    REMEDY,
    PackedFile,
    by_folder,
    decode_entry,
    index_line,
    look_up,
    pack_folder,
    read_index,
    source_folders,
    state_of,
)
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text
from lightning_mia.utilities.progress_bar import tqdm


def read_entries(paths: Iterable[str], cache_dir: Path, progress: bool = True) -> list[PackedFile]:
    """Look up these files; read those that are new or have changed.

    Nothing is read of files whose decoded audio is in a pack. An interrupted run keeps what it has read.

    Args:
        paths: audio files.
        cache_dir: folder of the packs.
        progress: show a progress bar.

    Returns:
        One entry for each path, by folder and path; its position in a pack has no meaning.

    Raises:
        InputError: the cache cannot be written.
    """
    states = {path: state_of(path) for path in sorted(set(paths), key=by_folder)}
    known: dict[str, PackedFile] = {}
    try:
        for folder, _ in source_folders(states):
            known |= dict(look_up(cache_dir, folder, states))
            known |= _kept(pack_folder(cache_dir, folder), states)
        if missing := [path for path in states if path not in known]:
            known |= _read_missing(missing, states, cache_dir, progress)
    except (OSError, NotImplementedError) as error:  # the latter from file systems without locks
        cause = getattr(error, "strerror", None) or error
        raise InputError(f"Cannot write the audio cache in {cache_dir}: {cause}; {REMEDY}") from error
    return [known[path] for path in states]


def _kept(pack: Path, states: Mapping[str, str]) -> dict[str, PackedFile]:
    """Return the current entries that an earlier run kept."""
    return {entry.path: entry for entry in read_index(pack, ENTRIES) if states.get(entry.path) == entry.state}


def _read_missing(
    missing: Sequence[str], states: Mapping[str, str], cache_dir: Path, progress: bool
) -> dict[str, PackedFile]:
    read: dict[str, PackedFile] = {}
    with (
        ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
        tqdm(total=len(missing), desc="Reading audio", unit="file", disable=not progress) as bar,
    ):
        for folder, group in source_folders(missing):
            pack = pack_folder(cache_dir, folder)
            pack.mkdir(parents=True, exist_ok=True)
            with FileLock(pack / LOCK):
                _drop_damaged(pack)
                for start in range(0, len(group), BATCH):
                    entries = [
                        replace(entry, state=states[entry.path])
                        for entry, _ in pool.map(decode_entry, group[start : start + BATCH])
                    ]
                    with open(pack / ENTRIES, "a", encoding="ascii") as file:
                        file.writelines(map(index_line, entries))
                    read |= {entry.path: entry for entry in entries}
                    bar.update(len(entries))
    return read


def _drop_damaged(pack: Path) -> None:
    """Remove what cannot be read, such as what a killed process left half written."""
    path = pack / ENTRIES
    if path.exists() and (lines := "".join(map(index_line, read_index(pack, ENTRIES)))).encode() != path.read_bytes():
        write_text(path, lines)
