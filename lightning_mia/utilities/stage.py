"""Stages of a run, which refuse changed settings."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of, write_json


@dataclass
class Stage:
    """Stage of a run, with its results and settings.

    The settings are written to `stage.json` in the folder of the results.

    Attributes:
        folder: folder of the results.
        settings: everything that changes the results, JSON-like; not workers, device or logging.
        record: facts about the finished stage (seconds, steps, …); None until it is finished.

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

    def __post_init__(self) -> None:
        self.settings = json.loads(json.dumps(self.settings, default=str))  # as `begin` reads them

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
            write_json(self.path, {"sha256": self.sha256, "settings": self.settings, "record": None})
            return self
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))
            sha256, settings, record = stored["sha256"], stored["settings"], stored["record"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is damaged; delete the folder {self.folder} and run the same command again"
            ) from error
        if sha256 != self.sha256:
            changes = list_first(_changes(settings, self.settings), limit=3)
            raise InputError(
                f"{self.folder} was created with different settings (hash: {sha256[:12]} stored, {self.sha256[:12]} "
                f"requested; {changes}); give another --run_dir, or the old settings"
            )
        self.record = record
        return self

    def finish(self, record: dict[str, Any]) -> None:
        """Mark the stage as finished."""
        self.record = record
        write_json(self.path, {"sha256": self.sha256, "settings": self.settings, "record": record})


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
