"""Write what each model is to be trained on."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lightning_mia.splits.drawn_folder.list_formats import Format, list_files
from lightning_mia.splits.split import Split
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import atomic_path

TRAIN = "train"


def models_of(split: Split) -> list[str]:
    """Return the names of target and shadow models."""
    return ["target", *split.shadows]


def write_lists(folder: Path, split: Split, recordings: pd.DataFrame, formats: Sequence[Format]) -> dict[str, str]:
    """Write the lists of all models below `train`.

    A recording that is in an epoch n times has n lines; the ids of all but the first end in #2, #3, ….

    Args:
        folder: folder of the split.
        split: members of every model.
        recordings: recordings of the split, index = id; see `list_files`.
        formats: formats of the lists.

    Returns:
        Path of each file, relative to `folder`, and its SHA-256.

    Raises:
        InputError: a format cannot hold a recording, or the folder cannot be written.
    """
    training = {model: set(split.training_ids(model)) for model in models_of(split)}
    used = set().union(*training.values())
    ids = [name for name in split.table["id"].to_list() if name in used]
    entries = _repeated(recordings.loc[ids].reset_index(), split.times_per_epoch(ids))
    original = entries["original"].tolist()
    chosen = {model: np.array([name in members for name in original]) for model, members in training.items()}
    hashes = {}
    for file in list_files(entries, formats):
        lines = _Lines.of(file.lines)
        for model, is_chosen in chosen.items():
            path, digest = f"{TRAIN}/{file.name.format(model)}", hashlib.sha256()
            with atomic_path(folder / path) as temporary, open(temporary, "wb") as output:
                for content in lines.runs(file.header, is_chosen):
                    output.write(content)
                    digest.update(content)
            hashes[path] = digest.hexdigest()
    return hashes


@dataclass(frozen=True)
class _Lines:
    """Lines of a file, encoded once for all models.

    The lists of two models differ in few of many lines, so they are written in long runs.
    """

    content: memoryview
    starts: np.ndarray  # (lines + 1,) bytes

    @classmethod
    def of(cls, lines: Sequence[str]) -> "_Lines":
        encoded = [line.encode() for line in lines]
        return cls(memoryview(b"".join(encoded)), np.cumsum([0, *map(len, encoded)]))

    def runs(self, header: str, chosen: np.ndarray) -> Iterator[bytes | memoryview]:
        """Yield a header and the chosen lines.

        Args:
            header: first line, or "".
            chosen: (lines,) bool.
        """
        yield header.encode()
        edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
        places = self.starts[edges].tolist()
        yield from (self.content[start:stop] for start, stop in zip(places[::2], places[1::2], strict=True))


def _repeated(recordings: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """Repeat rows, with unique ids; the column `original` holds the ids of the recordings.

    Raises:
        InputError: an id is that of a repetition.
    """
    rows = recordings.loc[np.repeat(np.arange(len(recordings)), times)].reset_index(drop=True)
    rows["original"] = rows["id"]
    number = rows.groupby("id").cumcount() + 1
    rows["id"] = rows["id"].where(number == 1, rows["id"] + "#" + number.astype(str))
    if repeated := rows["id"][rows["id"].duplicated()].tolist():
        raise InputError(f"Ids that end in # and a number mark repetitions: {list_first(repeated)}; rename them")
    return rows.sort_values("id", ignore_index=True)
