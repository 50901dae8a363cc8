"""Upload results to an fsspec URL.

A marker file shows that the copy is complete.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

log = logging.getLogger(__name__)

RESULTS_URL = """fsspec URL to which results are uploaded at the end, and after every model or cell, such as
s3://bucket/R"""
"""Help text of the option."""

RESULTS_NAMES = """also upload the files that name recordings, speakers or folders: scores, split, settings"""
"""Help text of the option."""

MARKER = "complete.json"
"""List of the uploaded files with their hashes; written last and removed first."""

REPORT_FILES = ("results.json", "report.html", "report.md", "report.pdf")
"""Files of a run that can be shared, in its folder `report`."""

NAMED_FILES = (
    *(f"report/{name}" for name in ("scores.csv", "units.csv", "speakers.csv", "private.json")),
    *("split.csv", "split.json", "config.yaml", "*/stage.json", "shadows/*/stage.json"),
)
"""Files of a run that name recordings, speakers or folders."""

GRID_FILES = ("results.csv", "results.parquet", "report.html", "figures/*")
NAMED_GRID_FILES = ("grid.json", "stage.json", "base.yaml")
"""Files of a grid with its command and settings."""


def run_files(run_dir: Path, with_names: bool = False) -> Iterator[Path]:
    """List the files of a run to upload.

    Args:
        run_dir: folder of the run.
        with_names: include the files that name recordings, speakers or folders.
    """
    named = NAMED_FILES if with_names else ()
    for pattern in (*(f"report/{name}" for name in REPORT_FILES), *named):
        yield from run_dir.glob(pattern)


def grid_files(root: Path, cells: Iterable[Path], with_names: bool = False) -> Iterator[Path]:
    """List the files of a grid to upload.

    Args:
        root: folder of the grid.
        cells: folders of the finished cells.
        with_names: as in `run_files`.
    """
    for pattern in (*GRID_FILES, *(NAMED_GRID_FILES if with_names else ())):
        yield from root.glob(pattern)
    for cell in cells:
        yield from run_files(cell, with_names)


class ResultsUploader:
    """Uploads files of a folder to a URL.

    During an update the URL has no `complete.json`; when it exists, every file that it lists is complete.

    Args:
        url: such as s3://bucket/runs/R, memory://R or file:///mnt/R; created if missing.
        folder: local folder of the files, which keep their relative paths.
        with_names: whether files that name recordings, speakers or folders are to be uploaded, too.

    Raises:
        InputError: the protocol is unknown, its package is not installed, or the URL is not writable.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "report.html").write_text("page")
        >>> uploader = ResultsUploader("memory://example", folder)
        >>> uploader.update([folder / "report.html"], final=True)
        >>> sorted(uploader.uploaded)
        ['report.html']
    """

    def __init__(self, url: str, folder: Path, with_names: bool = False) -> None:
        from fsspec.core import url_to_fs

        self.url, self.folder, self.with_names = without_credentials(url), folder, with_names
        try:
            self.files, self.root = url_to_fs(url)
            self._check_writable()
            self.uploaded: dict[str, str] = self._read_marker()  # name → SHA-256
            self.hashes: dict[Path, tuple[tuple[int, int], str]] = {}  # file → time and size, SHA-256
        except Exception as error:  # each protocol has its own errors
            reason = without_credentials(_first_line(error))
            raise InputError(f"Cannot write results to {self.url} ({reason}); check --results_url") from error

    def update(self, files: Iterable[Path], final: bool = False) -> None:
        """Upload new and changed files, then the marker.

        Args:
            files: all files of the copy.
            final: whether this is the last update, whose failure is an error.

        Raises:
            InputError: the final update failed; earlier failures are only logged.
        """
        try:
            self._update({path.relative_to(self.folder).as_posix(): path for path in files})
        except Exception as error:
            message = f"Cannot write results to {self.url} ({without_credentials(_first_line(error))})"
            if final:
                raise InputError(f"{message}; they are in {self.folder}: run the same command again") from error
            log.warning("%s; will be retried", message)

    def _update(self, paths: dict[str, Path]) -> None:
        hashes = {name: self._sha256(path) for name, path in paths.items()}
        if hashes == self.uploaded:
            return
        if self.files.exists(self._path(MARKER)):
            self.files.rm_file(self._path(MARKER))
        unchanged = {name for name, sha256 in self.uploaded.items() if hashes.get(name) == sha256}
        self.uploaded = {}  # until the marker is written
        for name, path in paths.items():
            if name not in unchanged:
                content = path.read_bytes()
                self._write(name, content)
                hashes[name] = hashlib.sha256(content).hexdigest()  # the file may have changed since it was hashed
        self._write(MARKER, json.dumps({"files": hashes}, indent=2).encode())
        self.uploaded = hashes

    def _sha256(self, path: Path) -> str:
        """Hash a file, reading it only if it has changed."""
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        if self.hashes.get(path, (None,))[0] != state:
            self.hashes[path] = (state, hash_of_file(path))
        return self.hashes[path][1]

    def _read_marker(self) -> dict[str, str]:
        """Return the files of a complete earlier copy."""
        if not self.files.exists(self._path(MARKER)):
            return {}
        files: dict[str, str] = json.loads(self.files.cat_file(self._path(MARKER)))["files"]
        return files

    def _check_writable(self) -> None:
        name = f"writable-{uuid.uuid4().hex}"
        self._write(name, b"")
        self.files.rm_file(self._path(name))

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(path, content)

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


def _first_line(error: Exception) -> str:
    line: str = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return line or type(error).__name__
