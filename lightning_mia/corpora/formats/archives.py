"""What published corpora share: splits with names, archives with checksums, downloads that break off."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from tqdm import tqdm

from lightning_mia.utilities.errors import InputError

DataSet = TypeVar("DataSet")

FAILURES = (OSError, RuntimeError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What torchaudio lets through: no network, a full disk, a wrong checksum, an archive cut short or damaged."""

LONG = 1 << 30
"""Bytes of an archive whose check takes long enough for a progress bar."""


@dataclass(frozen=True)
class Archive:
    """A publisher's archive on this machine.

    Attributes:
        file: where it lies, or will lie once it is downloaded.
        folder: what it is extracted to.
        sha256: of the file as published.
    """

    file: Path
    folder: Path
    sha256: str

    @property
    def mark(self) -> Path:
        """An empty file that stands beside the archive while it is fetched and extracted, and no longer."""
        return self.file.with_name(f"{self.file.name}.unfinished")


def absolute(folder: str) -> Path:
    """Return the folder as an absolute path, `~` expanded."""
    return Path(folder).expanduser().absolute()


def check_names(what: str, given: Sequence[str], known: Collection[str]) -> None:
    """Refuse names that the publisher does not use, and none at all.

    Raises:
        InputError: lists the known ones.
    """
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        problem = f"unknown {what} {', '.join(map(str, unknown))}" if unknown else f"no {what}"
        raise InputError(f"{problem}; name some of {', '.join(known)}")


def published_at(checksums: Mapping[str, str], file_name: str) -> tuple[str, str]:
    """Return address and SHA-256 of an archive, from torchaudio's table of them."""
    return next((url, sha256) for url, sha256 in checksums.items() if url.endswith(f"/{file_name}"))


def open_published(
    make: Callable[[], DataSet], archive: Archive, *, download: bool, holds: str, needed: Path | None = None
) -> DataSet:
    """Open a torchaudio data set, downloading it where asked to; its failures become one line.

    torchaudio takes a folder that exists for complete, and an archive that lies there for the right one. Here the
    archive's checksum is compared first, and a mark tells a folder that was extracted halfway (by an interrupted
    process, on a full disk) from a whole one.

    Args:
        make: opens the data set, with torchaudio's `download` as below.
        archive: what the data set comes from.
        download: fetch it where `needed` is not there.
        holds: what the folder that the user names as `root` has to hold, for the error.
        needed: the folder that is wanted, where it is not all of `archive.folder`.

    Raises:
        InputError: the folder is missing or half extracted, or it, the download or the archive is faulty.
    """
    needed = needed or archive.folder
    if not needed.is_dir() and not download:
        remedy = f"set root to the folder that holds {holds}, or download: true"
        raise InputError(f"{needed}: no such folder; {remedy}")
    if download and (not needed.is_dir() or archive.mark.exists()):
        with _for_one_process(archive):  # another one may be at it, and have finished when our turn comes
            if not needed.is_dir() or archive.mark.exists():
                return _fetch(make, archive, needed)
    _refuse_unfinished(archive)
    with as_published(needed):
        return make()


@contextmanager
def as_published(folder: Path) -> Iterator[None]:
    """Tell in one line that something under `folder` is not as its publisher made it."""
    try:
        yield
    except (*FAILURES, ValueError, IndexError) as error:
        raise InputError(f"{folder}: {reason(error)}; restore it as it was published") from error


def check_complete(found: int, published: int, folder: Path) -> None:
    """Refuse a downloaded folder with fewer recordings than were published."""
    if found < published:
        what = f"{found} of {published} recordings, as a broken-off download leaves them"
        remedy = "remove the folder and start again, or set download: false to use them as they are"
        raise InputError(f"{folder}: {what}; {remedy}")


def reason(error: BaseException) -> str:
    """Return what an exception says, as one line without a full stop at its end.

    >>> reason(ValueError("no such split.\\nSee the manual")), reason(EOFError())
    ('no such split', 'EOFError')
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .") if lines else type(error).__name__


def _fetch(make: Callable[[], DataSet], archive: Archive, needed: Path) -> DataSet:
    _refuse_unfinished(archive)
    try:
        if archive.file.is_file():
            _check_sum(archive)
        archive.mark.touch()
        data = make()
        archive.mark.unlink()
    except FAILURES as error:
        raise InputError(f"{needed}: download failed ({reason(error)}); try again or fetch it by hand") from error
    finally:
        if not (archive.file.is_file() and archive.folder.exists()):
            archive.mark.unlink(missing_ok=True)  # nothing was extracted
    return data


def _refuse_unfinished(archive: Archive) -> None:
    if archive.mark.exists() and archive.folder.exists():
        what = "extracted in part only, as a broken-off download leaves it"
        raise InputError(f"{archive.folder}: {what}; remove it and {archive.mark.name} beside it, and start again")


def _check_sum(archive: Archive) -> None:
    digest, size = hashlib.sha256(), archive.file.stat().st_size
    with (
        open(archive.file, "rb") as file,
        tqdm(total=size, desc=f"Checking {archive.file.name}", unit="B", unit_scale=True, disable=size < LONG) as bar,
    ):
        while block := file.read(1 << 20):
            digest.update(block)
            bar.update(len(block))
    found = digest.hexdigest()
    if found != archive.sha256:
        what = f"SHA-256 {found[:12]}…, published was {archive.sha256[:12]}…"
        raise InputError(f"{archive.file}: wrong checksum ({what}): cut short or another file; remove it, start again")


@contextmanager
def _for_one_process(archive: Archive) -> Iterator[None]:
    lock = archive.file.with_name(f"{archive.file.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield
    except (OSError, NotImplementedError) as error:  # the latter from file systems that cannot lock
        raise InputError(f"Cannot write {lock.parent}: {reason(error)}; choose another root") from error
