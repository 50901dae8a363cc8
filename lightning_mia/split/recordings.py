"""The recordings that a split is made of: in a fixed order, the same audio recognised under any id."""

from collections.abc import Mapping

import pandas as pd

from lightning_mia.errors import InputError


def list_recordings(table: pd.DataFrame, contents: Mapping[str, str]) -> pd.DataFrame:
    """List the recordings of a table by id, and say which of them are copies of another.

    Args:
        table: table of utterances, in any order: `id`, `speaker`, and what else it has.
        contents: SHA-256 of the decoded audio of every id.

    Returns:
        The rows of `table` sorted by id, and a column `audio`: the first id with the very same audio.

    Raises:
        InputError: fewer than two speakers.
        ValueError: an id without a content hash.
    """
    recordings = table.sort_values("id", ignore_index=True)
    if missing := [name for name in recordings["id"] if name not in contents]:
        raise ValueError(f"No content hash for {len(missing)} utterances, the first {missing[0]!r}")
    n_speakers = recordings["speaker"].nunique()
    if n_speakers < 2:
        raise InputError(
            f"The corpus has {n_speakers} speaker(s), but a split needs at least 2; "
            "add recordings of other speakers, or name the speakers apart"
        )
    hashes = recordings["id"].map(lambda name: contents[name])
    return recordings.assign(audio=recordings.groupby(hashes)["id"].transform("first"))
