"""Which recordings a speaker is asked about: equally many for everybody."""

import hashlib

import pandas as pd

LEAST_QUERIES = 2
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
    common = max(LEAST_QUERIES, min(side.iloc[len(side) // ONE_LEFT_OUT_OF] for side in by_side))
    order = rows["id"].map(lambda name: hashlib.sha256(name.encode()).hexdigest()).sort_values().index
    place = rows.loc[order].groupby("speaker").cumcount().reindex(rows.index)
    return rows[(rows["speaker"].map(sizes["n"]) >= common) & (place < common)]
