"""The recordings that a split is made of: in a fixed order, the same audio recognised under any id."""

import hashlib
from collections.abc import Mapping

import pandas as pd

from lightning_mia.utilities.errors import InputError

MIN_QUERIES = 2
"""Recordings of a speaker that a speaker-level attack needs: it compares them in pairs."""
ONE_LEFT_OUT_OF = 10
"""One speaker in so many, on either side, may be left out for the sake of more queries for the others."""


def equal_queries(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose equally many recordings of every speaker: a score's mean and spread depend on their number.

    The common number is the largest that nine in ten of the speakers of either side have, so that one poor
    speaker does not make everybody poor; who has fewer (or fewer than 2) is not judged. Of a speaker's
    recordings those are taken whose ids have the smallest SHA-256, which knows nothing of membership. Where
    all have equally many already, as in a drawn split, all are kept.

    Args:
        rows: recordings that could be asked about: `id`, `speaker`, `target` (bool, one for each speaker).

    Returns:
        The chosen rows, in their order; none where a side has no speaker.
    """
    sizes = rows.groupby("speaker").agg(n=("id", "size"), target=("target", "first"))
    by_side = [side.sort_values() for _, side in sizes.groupby("target")["n"]]
    if len(by_side) < 2:
        return rows.iloc[:0]
    common = max(MIN_QUERIES, min(side.iloc[len(side) // ONE_LEFT_OUT_OF] for side in by_side))
    order = rows["id"].map(lambda name: hashlib.sha256(name.encode()).hexdigest()).sort_values().index
    place = rows.loc[order].groupby("speaker").cumcount().reindex(rows.index)
    return rows[(rows["speaker"].map(sizes["n"]) >= common) & (place < common)]


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
