"""Stages of a run: finished once, resumed where interrupted, refused where the settings changed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of, write_json


@dataclass
class Stage:
    """One stage that leaves its work in a folder, with what it was made from in `stage.json` beside it.

    Attributes:
        folder: where the work goes.
        settings: everything that changes the result, JSON-like; what does not (workers, device, logging)
            stays out.
        record: what the finished stage has to tell (seconds, steps, …); None until it is finished.
    """

    folder: Path
    settings: dict[str, Any]
    record: dict[str, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.settings = json.loads(json.dumps(self.settings, default=str))  # as it will be read back

    @property
    def path(self) -> Path:
        """The file that describes the stage."""
        return self.folder / "stage.json"

    @property
    def sha256(self) -> str:
        """Hash of the settings."""
        return hash_of(self.settings)

    @property
    def done(self) -> bool:
        """Whether the stage is finished."""
        return self.record is not None

    def begin(self) -> "Stage":
        """Compare with what the folder holds already, and take over the record of a finished stage.

        Raises:
            InputError: the folder was begun with other settings, or its description is damaged.
        """
        if not self.path.exists():
            write_json(self.path, {"sha256": self.sha256, "settings": self.settings, "record": None})
            return self
        try:
            there = json.loads(self.path.read_text(encoding="utf-8"))
            sha256, settings, record = there["sha256"], there["settings"], there["record"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.path} is damaged; delete the folder {self.folder} and start again") from error
        if sha256 != self.sha256:
            changes = list_first(_changes(settings, self.settings), limit=3)
            raise InputError(
                f"{self.folder} was made by other settings (hash {sha256[:12]} there, {self.sha256[:12]} asked for; "
                f"{changes}); give another --run_dir, or the old settings"
            )
        self.record = record
        return self

    def finish(self, record: dict[str, Any]) -> None:
        """Mark the stage as done."""
        self.record = record
        write_json(self.path, {"sha256": self.sha256, "settings": self.settings, "record": record})


def _changes(old: Any, new: Any, where: str = "") -> list[str]:
    """Name what differs between two JSON-like values.

    >>> _changes({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: 1 there, 3 asked for']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [
            change
            for key in keys
            for change in _changes(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        ]
    return [] if old == new else [f"{where}: {old} there, {new} asked for"]
