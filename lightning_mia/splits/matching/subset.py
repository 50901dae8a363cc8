"""The matched subset of a decoded corpus."""

from typing import NamedTuple

import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.audio.cropping import crop_recordings, silent_crops
from lightning_mia.splits.matching.match import match_recordings
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.split import Level
from lightning_mia.utilities.errors import InputError

TOO_SHORT = "shorter than matching.crop_seconds"
SILENT = "the cropped part is silent"


class MatchedSubset(NamedTuple):
    """Matched subset of a corpus."""

    table: pd.DataFrame  # rows of the utterance table
    audio: AudioCache  # cropped if requested
    notes: tuple[str, ...]  # sentences on what was kept and discarded
    discarded: pd.DataFrame  # id, speaker, member, seconds (before cropping), reason


def matched_subset(
    table: pd.DataFrame, audio: AudioCache, settings: Matching, level: Level = "utterance", progress: bool = True
) -> MatchedSubset:
    """Match members and non-members, and crop the recordings.

    Full durations are matched before cropping, so that recordings of equal length are cropped at similar positions of
    what was said.

    Args:
        table: utterance table with the column `member`.
        audio: decoded audio of all its recordings.
        settings: settings of the matching.
        level: level that the split must support.
        progress: show a progress bar.

    Raises:
        InputError: no column `member`, or too few recordings or speakers are left.
    """
    if "member" not in table:
        raise InputError(
            "matching is for user-supplied splits (column member); a randomly drawn split is matched by design: remove "
            "the option"
        )
    n_samples = None if settings.crop_seconds is None else round(settings.crop_seconds * SAMPLE_RATE)
    unfit = {} if n_samples is None else _uncroppable(table, audio, n_samples, settings)
    seconds: dict[str, float] = dict(zip(audio.index.index, audio.index["duration"], strict=True))
    matched = match_recordings(table, seconds, audio.contents, settings, level, unfit)
    if n_samples is not None:
        audio = crop_recordings(audio, matched.kept, n_samples, settings.crop_from, progress)
    table = table[table["id"].isin(matched.kept)].reset_index(drop=True)
    return MatchedSubset(table, audio, matched.notes(", ".join(settings.steps)), matched.discarded)


def _uncroppable(table: pd.DataFrame, audio: AudioCache, n_samples: int, settings: Matching) -> dict[str, str]:
    """Return the reasons of recordings that cannot be cropped."""
    long_enough = audio.index.loc[table["id"], "n_samples"] >= n_samples
    silent = silent_crops(audio, list(long_enough.index[long_enough]), n_samples, settings.crop_from)
    return dict.fromkeys(long_enough.index[~long_enough], TOO_SHORT) | dict.fromkeys(silent, SILENT)
