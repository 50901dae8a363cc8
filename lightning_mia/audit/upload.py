"""A copy of a run's results at any URL that fsspec knows, which is never half there without saying so."""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of_file

log = logging.getLogger(__name__)

RESULTS_URL = """where results are copied to when the command is done, and after every model or cell: any URL of fsspec,
such as s3://bucket/R"""
"""What the option means."""

MARKER = "complete.json"
"""Written last, and removed first: the files that belong to the copy, with their hashes."""

OF_REPORT = ("results.json", "scores.csv", "units.csv", "report.html", "report.md")
"""Of the folder `report`; not `speakers.csv`, which says whom the pseudonyms stand for."""

OF_RUN = ("split.csv", "split.json", "*/stage.json", "shadows/*/stage.json")
OF_GRID = ("grid.json", "stage.json", "base.yaml", "results.csv", "results.parquet", "report.html", "figures/*")


def files_of_run(run_dir: Path) -> Iterator[Path]:
    """What an auditor needs of a run: report, results, scores, split, and what every model was made from."""
    for pattern in (*(f"report/{name}" for name in OF_REPORT), *OF_RUN):
        yield from run_dir.glob(pattern)


def files_of_grid(root: Path, cells: Iterable[Path]) -> Iterator[Path]:
    """The same of a grid.

    Args:
        root: folder of the grid.
        cells: folders of the cells that are done.
    """
    for pattern in OF_GRID:
        yield from root.glob(pattern)
    for cell in cells:
        yield from files_of_run(cell)


class ResultsUploader:
    """Copies files of a folder to a URL.

    While it copies there is no `complete.json` at the URL; once it is there, every file that it names is whole.

    Args:
        url: such as s3://bucket/runs/R, memory://R or file:///mnt/R; is made.
        folder: whose files are copied, by their paths in it.

    Raises:
        InputError: the protocol is not known, its package is not installed, or nothing can be written there.
    """

    def __init__(self, url: str, folder: Path) -> None:
        from fsspec.core import url_to_fs

        self.url, self.folder = url, folder
        try:
            self.files, self.root = url_to_fs(url)
            self._check_writable()
            self.there: dict[str, str] = self._read_marker()
            self.known: dict[Path, tuple[tuple[int, int], str]] = {}  # file → time and size, and its SHA-256 then
        except Exception as error:  # every protocol has errors of its own
            raise InputError(f"Cannot write results to {url} ({_short(error)}); mend --results_url") from error

    def update(self, files: Iterable[Path], final: bool = False) -> None:
        """Copy what is new or has changed, then the marker.

        Args:
            files: all that belongs to the copy now.
            final: whether there will be no other update, which would make up for this one.

        Raises:
            InputError: the final update went wrong; another that does is only logged.
        """
        try:
            self._update({path.relative_to(self.folder).as_posix(): path for path in files})
        except Exception as error:
            what = f"Cannot write results to {self.url} ({_short(error)})"
            if final:
                raise InputError(f"{what}; they are in {self.folder}: start the same command again") from error
            log.warning("%s; this is tried again later", what)

    def _update(self, paths: dict[str, Path]) -> None:
        wanted = {name: self._sha256(path) for name, path in paths.items()}
        if wanted == self.there:
            return
        if self.files.exists(self._path(MARKER)):
            self.files.rm_file(self._path(MARKER))
        copied = {name: sha256 for name, sha256 in self.there.items() if wanted.get(name) == sha256}
        self.there = {}  # until the marker is written
        for name, path in paths.items():
            if name not in copied:
                content = path.read_bytes()
                self._write(name, content)
                wanted[name] = hashlib.sha256(content).hexdigest()  # it may have been replaced since it was looked at
        self._write(MARKER, json.dumps({"files": wanted}, indent=2).encode())
        self.there = wanted

    def _sha256(self, path: Path) -> str:
        """Of a file, which is read again only where it has changed: there are many, and an update after every model."""
        status = path.stat()
        state = (status.st_mtime_ns, status.st_size)
        if self.known.get(path, (None,))[0] != state:
            self.known[path] = (state, hash_of_file(path))
        return self.known[path][1]

    def _read_marker(self) -> dict[str, str]:
        """What an earlier run has left there, whole."""
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


def _short(error: Exception) -> str:
    first: str = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return first or type(error).__name__
