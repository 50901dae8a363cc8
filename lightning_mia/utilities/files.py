"""Cache folder, atomic writes and content hashes."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError

TEMPORARY = ".tmp-"
"""In the name of every temporary file and folder."""

LEFT_BEHIND = re.compile(
    r"\..+\.tmp-\w{8}(\.\w+)?"  # of `atomic_path` and `fresh_folder`
    r"|\..+(?P<suffix>\.\w+)\.[a-z0-9_]{8}(?P=suffix)"  # of `atomic_path` in earlier versions
    r"|\.seen-by-all-[0-9a-f]{32}|(last|model|epoch_\d+)\.part"
)
"""Names of what a killed process leaves in a run directory."""

LOCK = ".lock"
"""Lock file of a run directory."""


def cache_root() -> Path:
    """Return the cache folder: `$LIGHTNING_MIA_CACHE` or `~/.cache/lightning_mia`.

    It may not exist yet.

    Raises:
        InputError: there is no home folder.
    """
    chosen = os.environ.get("LIGHTNING_MIA_CACHE")
    try:
        return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "lightning_mia"
    except RuntimeError as error:  # no HOME, and no entry among the system's users
        raise InputError("There is no home folder for the cache: set LIGHTNING_MIA_CACHE to a folder") from error


def check_folder(path: str | Path) -> None:
    """Check that a path is or can become a folder.

    Raises:
        InputError: the path or one of its parents is a file.
    """
    for part in (Path(path), *Path(path).parents):
        if part.exists():
            if not part.is_dir():
                raise InputError(f"{part} is a file, but the run directory {path} must be a folder; choose another")
            return


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` on success.

    On failure it is removed. Readers see the old file or the complete new one, even after a power failure. The parent
    folder is created.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}{TEMPORARY}", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}; choose another folder or free space") from error
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a finished file gets the permissions that the user's umask grants.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        replace_durably(temporary, path)
    except OSError as error:
        raise InputError(
            f"Cannot write {path}: {error.strerror or error}; free space and run the same command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def fresh_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces `path` on success.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}{TEMPORARY}", dir=path.parent) as name:
            fresh = Path(name) / path.name
            fresh.mkdir()
            yield fresh
            for file in fresh.rglob("*"):
                sync(file)
            shutil.rmtree(path, ignore_errors=True)
            fresh.rename(path)
            sync(path.parent)
    except OSError as error:
        raise InputError(
            f"Cannot write {path}: {error.strerror or error}; free space and run the same command again"
        ) from error


def replace_durably(source: Path, target: Path) -> None:
    """Rename a file over another, both safe from a power failure.

    Without the first sync, the new name may belong to an empty file after it.
    """
    sync(source)
    os.replace(source, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Write a file or folder from the system's memory to the disk."""
    if path.is_dir() and os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        if path.is_dir():
            with suppress(OSError):  # some network file systems refuse folders
                os.fsync(handle)
        else:
            os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, min_age: float = 0) -> None:
    """Remove what killed processes left in a run directory.

    The caller holds its lock. Run directories inside, such as the cells of a grid, are left to their own commands.

    Args:
        folder: the run directory.
        min_age: seconds since the last change, 0 for any. Younger files stay: other processes of the same command may
            be writing them.
    """
    for parent, folders, files in os.walk(folder):
        if Path(parent) != folder and LOCK in files:
            folders.clear()
            continue
        for name in (*files, *folders):
            path = Path(parent) / name
            if LEFT_BEHIND.fullmatch(name) and (not min_age or _age(path) >= min_age):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Return the seconds since the last change; 0 for a file that has just been renamed or removed."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON atomically.

    Raises:
        ValueError: the value contains NaN or infinity.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def hash_of(value: Any) -> str:
    """Hash a JSON-like value (SHA-256, hex); key order is ignored.

    >>> hash_of({"a": 1, "b": [2.5, None]}) == hash_of({"b": [2.5, None], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_state(path: str | Path) -> tuple[int, int, int, int]:
    """Return size (bytes), modification and change time (ns) and inode.

    The last two differ for a file that another one of the same size and time replaced.
    """
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def hash_of_file(path: str | Path) -> str:
    """Hash a file (SHA-256, hex)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:  # Python 3.10 has no hashlib.file_digest
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
