"""Candidate recordings: copies, and equal numbers per speaker."""

import hashlib
from collections.abc import Mapping

import pandas as pd

from lightning_mia.utilities.errors import InputError

MIN_QUERIES = 2
"""Recordings per speaker that a speaker-level attack needs: it compares them in pairs."""
EXCLUDE_ONE_IN = 10
"""One in 10 member or non-member speakers may be excluded to allow more queries for the others."""


def list_recordings(table: pd.DataFrame, contents: Mapping[str, str]) -> pd.DataFrame:
    """Sort recordings by id and identify copies.

    Args:
        table: utterance table with `id` and `speaker`, in any order.
        contents: SHA-256 of the decoded audio, by id.

    Returns:
        The rows of `table` sorted by id, with the column `audio`: the first id with identical audio.

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
            "add recordings of other speakers, or give different speakers different names"
        )
    hashes = recordings["id"].map(lambda name: contents[name])
    return recordings.assign(audio=recordings.groupby(hashes)["id"].transform("first"))


def equalise_queries(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose equally many recordings of every speaker.

    The number is the largest that nine in ten of the member and of the non-member speakers have, so that one speaker
    with few recordings does not limit all; speakers with fewer (or fewer than 2) are excluded. Of a speaker's
    recordings, those whose ids have the smallest SHA-256 are chosen, independently of membership. If all speakers have
    equally many, as in a drawn split, all recordings are kept.

    Args:
        rows: candidate recordings with `id`, `speaker` and `target` (bool, one value per speaker).

    Returns:
        The chosen rows, in order; none without both member and non-member speakers.
    """
    sizes = rows.groupby("speaker").agg(n=("id", "size"), target=("target", "first"))
    by_class = [counts.sort_values() for _, counts in sizes.groupby("target")["n"]]
    if len(by_class) < 2:
        return rows.iloc[:0]
    common = max(MIN_QUERIES, min(counts.iloc[len(counts) // EXCLUDE_ONE_IN] for counts in by_class))
    order = rows["id"].map(lambda name: hashlib.sha256(name.encode()).hexdigest()).sort_values().index
    rank = rows.loc[order].groupby("speaker").cumcount().reindex(rows.index)
    return rows[(rows["speaker"].map(sizes["n"]) >= common) & (rank < common)]
