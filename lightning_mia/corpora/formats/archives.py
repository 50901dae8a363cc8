"""Download, verify and unpack archives of published corpora."""

import logging
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from filelock import FileLock

from lightning_mia.utilities.errors import InputError

DOWNLOAD_ERRORS = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""No network (`requests` raises subclasses of `OSError`), full disk, wrong checksum, damaged archive."""

CHUNK = 1 << 20
"""Bytes written to disk at a time."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A published archive.

    Attributes:
        url: address.
        sha256: checksum of the file.
        stored_in: folder under `root` that keeps the downloaded file.
        unpacked_in: folder under `root` that receives the content.
    """

    url: str
    sha256: str
    stored_in: str = "."
    unpacked_in: str = "."

    def path(self, root: Path) -> Path:
        """Return the location of the downloaded file."""
        return root / self.stored_in / PurePosixPath(self.url).name


def absolute(folder: str) -> Path:
    """Return the folder as an absolute path, `~` expanded."""
    return Path(folder).expanduser().absolute()


def check_names(what: str, given: Sequence[str], known: Collection[str]) -> None:
    """Reject unknown names and empty lists.

    Raises:
        InputError: lists the known names.
    """
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        problem = f"unknown {what} {', '.join(map(str, unknown))}" if unknown else f"no {what}"
        raise InputError(f"{problem}; choose from {', '.join(known)}")


def published_folder(root: Path, folder: str, archive: Archive, *, download: bool) -> Path:
    """Return a folder of a published corpus, downloaded if necessary.

    The archive is verified and unpacked beside its destination before anything is moved there, so that an existing
    folder is complete. An interrupted download starts again from the beginning; a verified archive that is already
    on disk is only unpacked. Other processes wait for the first one.

    Args:
        root: folder that the user names.
        folder: the corpus's folder, relative to `root`.
        archive: archive that contains it.
        download: download the archive if the folder is missing.

    Raises:
        InputError: the folder is missing, or the download failed.
    """
    path = root / folder
    if path.is_dir():
        return path
    if not download:
        raise InputError(f"{path}: no such folder; set root to the folder that holds {folder}, or download: true")
    with _lock(archive.path(root)):
        if not path.is_dir():  # another process may have finished meanwhile
            _fetch(root, archive, path)
    return path


@contextmanager
def layout_errors(folder: Path) -> Iterator[None]:
    """Report damaged files of a published corpus in one line.

    Raises:
        InputError: names the folder and the cause.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise InputError(f"{folder}: {first_line(error)}; restore it as it was published") from error


def check_complete(n_recordings: int, n_published: int, folder: Path) -> None:
    """Reject a downloaded folder with fewer recordings than were published.

    Raises:
        InputError: names both numbers.
    """
    if n_recordings < n_published:
        problem = f"{n_recordings} of {n_published} recordings, as after an interrupted download"
        remedy = "remove the folder and run the same command again, or set download: false to use it as it is"
        raise InputError(f"{folder}: {problem}; {remedy}")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message.

    >>> first_line(ValueError("no such split.\\nSee the manual")), first_line(EOFError())
    ('no such split', 'EOFError')
    """
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .") if lines else type(error).__name__


def _fetch(root: Path, archive: Archive, folder: Path) -> None:
    """Download, verify and unpack an archive that contains `folder`."""
    file = archive.path(root)
    temporary = file.with_name(f"{file.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process
    try:
        _download(archive, file)
        _unpack(file, temporary / archive.unpacked_in)
        _merge(temporary, root)
    except DOWNLOAD_ERRORS as error:
        raise InputError(f"{folder}: download failed ({first_line(error)}); try again or fetch it by hand") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if not folder.is_dir():
        raise InputError(f"{folder}: not contained in {file.name}; fetch the corpus by hand")


def _download(archive: Archive, file: Path) -> None:
    """Download `file`, unless it exists with the published checksum."""
    import pooch

    if file.is_file():
        logger.info("Verifying the SHA-256 of %s", file)
    # Without "identity", requests would decompress archives that a server labels as gzip-encoded.
    downloader = pooch.HTTPDownloader(progressbar=True, chunk_size=CHUNK, headers={"Accept-Encoding": "identity"})
    checksum = f"sha256:{archive.sha256}"
    try:
        pooch.retrieve(archive.url, checksum, fname=file.name, path=file.parent, downloader=downloader)
    except ValueError as error:
        raise OSError(f"wrong checksum of {archive.url}, expected SHA-256 {archive.sha256[:12]}…") from error


def _unpack(file: Path, folder: Path) -> None:
    import pooch

    unpack = pooch.Unzip if file.suffix == ".zip" else pooch.Untar
    unpack(extract_dir=str(folder))(str(file), "download", None)


def _merge(source: Path, target: Path) -> None:
    """Move files, then folders, into `target`; keep existing files."""
    for item in sorted(source.iterdir(), key=Path.is_dir):
        destination = target / item.name
        if item.is_dir() and destination.is_dir():
            _merge(item, destination)
        elif not destination.exists():
            item.rename(destination)


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Let one process at a time download `file`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{file}.lock"):
            yield
    except (OSError, NotImplementedError) as error:  # the latter from file systems without locks
        raise InputError(f"Cannot write {file.parent}: {first_line(error)}; choose another root") from error
