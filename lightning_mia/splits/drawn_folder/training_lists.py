"""Write what each model is to be trained on."""

import hashlib
from collections.abc import Sequence
from itertools import compress
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
    ids = [name for name in split.table["id"] if name in used]
    entries = _repeated(recordings.loc[ids].reset_index(), split.times_per_epoch(ids))
    original = entries["original"].tolist()
    chosen = {model: [name in members for name in original] for model, members in training.items()}
    hashes = {}
    for file in list_files(entries, formats):
        for model, is_chosen in chosen.items():
            path = f"{TRAIN}/{file.name.format(model)}"
            content = (file.header + "".join(compress(file.lines, is_chosen))).encode()
            with atomic_path(folder / path) as temporary:
                temporary.write_bytes(content)
            hashes[path] = hashlib.sha256(content).hexdigest()
    return hashes


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
