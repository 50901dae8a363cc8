"""Files and addresses that the rows of a data set name."""

from pathlib import Path, PurePosixPath
from typing import Any

from lightning_mia.corpora.formats.archives import first_line
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import file_state


def stored_audio(value: Any) -> tuple[bytes | None, str]:
    """Return a recording's content, if stored, and its path.

    Raises:
        ValueError: neither is stored.
    """
    stored = value if isinstance(value, dict) else {"bytes" if isinstance(value, bytes) else "path": value}
    content, path = stored.get("bytes"), stored.get("path") or ""
    if not isinstance(path, str) or not (content or path):
        raise ValueError("holds neither bytes nor a path")
    return content, path


def is_inside(path: str, source: Path | None, name: str) -> bool:
    """Check that a path or address leads into a data set.

    >>> is_inside("zip://a.flac::hf://datasets/ann/talks@1/a.zip", None, "ann/talks")
    True
    >>> is_inside("/etc/passwd", Path("/data"), "/data"), is_inside("http://127.0.0.1/", Path("/data"), "/data")
    (False, False)
    """
    container = path.split("::")[-1]  # of a file within an archive
    if source is None:
        beyond = PurePosixPath(container).parts[2:]
        return container.startswith((f"hf://datasets/{name}/", f"hf://datasets/{name}@")) and ".." not in beyond
    if "://" in container.removeprefix("file://"):
        return False
    return (source / container.removeprefix("file://")).resolve().is_relative_to(source.resolve())


def download_file(address: str) -> bytes:
    """Read a file on the hub or within an archive."""
    import fsspec

    try:
        with fsspec.open(address, "rb") as file:
            return bytes(file.read())
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"{address}: cannot be read ({first_line(error)}); check the connection and run the same command again"
        ) from error


def file_states(folder: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Return names and states of files."""
    return [(str(path), file_state(path)) for path in sorted(folder.rglob("*")) if path.is_file()]
