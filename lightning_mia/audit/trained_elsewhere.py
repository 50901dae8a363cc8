"""Models trained elsewhere, on the lists of a split drawn before."""

import logging
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from lightning_mia.splits.drawn_folder.drawn import DrawnFolder
from lightning_mia.utilities.errors import list_first

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.ckpt")

log = logging.getLogger(__name__)


def vouching_notes(drawn: DrawnFolder | None, checkpoint: str) -> list[str]:
    """Say what the user vouches for, and whether the checkpoint is older than the draw.

    Args:
        drawn: the folder of the split; None: it was not drawn before, and the user vouches for nothing.
        checkpoint: file or folder of the checkpoint, or its hub name.
    """
    if drawn is None:
        return []
    notes = [
        f"The members were drawn at random on {_day(drawn.created)}, before the training. That the checkpoint was "
        "trained on train/target of that split, on no other recording of its challenge set, and was not chosen by "
        "them, is the user's statement, on which the verdict rests."
    ]
    written = _last_change(Path(checkpoint))
    if written and written < drawn.created:
        notes.append(
            f"The checkpoint is older than the draw: it was written on {_day(written)}, and the members were drawn on "
            f"{_day(drawn.created)}. It cannot have been trained on the list, unless the date of its file is wrong."
        )
        log.warning(notes[-1])
    return notes


def age_notes(drawn: DrawnFolder, checkpoints: Mapping[str, Path]) -> list[str]:
    """Say which shadow models are older than the draw.

    Args:
        drawn: the folder of the split.
        checkpoints: name → file or folder.
    """
    times = {name: _last_change(path) for name, path in checkpoints.items()}
    older = [f"{name} ({_day(time)})" for name, time in times.items() if time and time < drawn.created]
    if not older:
        return []
    return [
        f"{len(older)} of {len(checkpoints)} shadow models are older than the draw of {_day(drawn.created)}: "
        f"{list_first(older)}. They cannot have been trained on their lists, unless the dates of their files are wrong."
    ]


def _last_change(checkpoint: Path) -> datetime | None:
    """Return when the weights were last written; None if they are not files here."""
    files = [checkpoint] if checkpoint.is_file() else [file for ends in WEIGHTS for file in checkpoint.glob(ends)]
    times = [file.stat().st_mtime for file in files]
    return datetime.fromtimestamp(max(times), timezone.utc) if times else None


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
