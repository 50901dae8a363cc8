"""Stages of a run, which refuse changed settings."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_mia.utilities.credentials import strip_credentials
from lightning_mia.utilities.environment import result_versions
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of, write_json


@dataclass
class Stage:
    """Stage of a run, with its results and settings.

    The settings are written to `stage.json` in the folder of the results.

    Attributes:
        folder: folder of the results.
        settings: everything that changes the results, JSON-like; not workers, device or logging. Credentials in URLs
            are left out.
        record: facts about the finished stage (seconds, steps, …); None until it is finished.
        versions: package → version with which it was made; empty if unknown.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Stage(folder, {"epochs": 3}).begin().finish({"seconds": 1.5})
        >>> Stage(folder, {"epochs": 3}).begin().record  # a later run
        {'seconds': 1.5}
    """

    folder: Path
    settings: dict[str, Any]
    record: dict[str, Any] | None = field(default=None, init=False)
    versions: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        settings = json.loads(json.dumps(self.settings, default=str))  # as `begin` reads them
        self.settings = strip_credentials(settings)

    @property
    def path(self) -> Path:
        """File that describes the stage."""
        return self.folder / "stage.json"

    @property
    def sha256(self) -> str:
        """SHA-256 of the settings."""
        return hash_of(self.settings)

    @property
    def done(self) -> bool:
        """Whether the stage is finished."""
        return self.record is not None

    def begin(self) -> "Stage":
        """Start the stage, or load its record if finished.

        Raises:
            InputError: the folder was created with other settings, or its description is damaged.
        """
        if not self.path.exists():
            self.versions = result_versions()
            self._write()
            return self
        sha256, settings = self._read()
        if sha256 != self.sha256:
            changes = list_first(_changes(settings, self.settings), limit=3)
            raise InputError(
                f"{self.folder} was created with different settings (hash: {sha256[:12]} stored, {self.sha256[:12]} "
                f"requested; {changes}); give another --run_dir, or the old settings"
            )
        return self

    def stored_settings(self) -> dict[str, Any] | None:
        """Read the settings on disk; None if the stage has not begun.

        Raises:
            InputError: the description is damaged.
        """
        return self._read()[1] if self.path.exists() else None

    def finish(self, record: dict[str, Any]) -> None:
        """Mark the stage as finished."""
        self.record = record
        now = result_versions()
        started = self.versions or now
        self.versions = {name: _joined(started.get(name, version), version) for name, version in now.items()}
        self._write()

    def _write(self) -> None:
        content = {"settings": self.settings, "record": self.record, "versions": self.versions}
        content = json.loads(json.dumps(content, default=str, allow_nan=False))
        write_json(self.path, {"sha256": self.sha256, **content, "content_sha256": hash_of(content)})

    def _read(self) -> tuple[str, dict[str, Any]]:
        """Load record and versions; return the stored hash and settings."""
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            expected = stored.pop("content_sha256", None)  # earlier versions have neither it nor `versions`
            sha256 = stored.pop("sha256")
            settings, self.record, self.versions = stored["settings"], stored["record"], stored.get("versions", {})
            if expected not in (None, hash_of(stored)) or sha256 != hash_of(settings):
                raise ValueError("the content does not have its hash")
            if not (isinstance(settings, dict) and isinstance(self.record, dict | None)):
                raise TypeError("unexpected types")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.path} is damaged; delete the folder {self.folder} and run the same command again"
            ) from error
        return sha256, settings


def _joined(started: str, finished: str) -> str:
    return finished if started == finished else f"{started} and {finished}"


def _changes(old: Any, new: Any, where: str = "") -> list[str]:
    """List the differences between two JSON-like values.

    >>> _changes({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: 1 stored, 3 requested']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            change
            for key in keys
            for change in _changes(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if old == new else [f"{where}: {old} stored, {new} requested"]
