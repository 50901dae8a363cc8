"""Match the two sides of a ready-made split once its recordings are decoded, and cut them to one length."""

from typing import NamedTuple

import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.audio.cropping import crop_recordings, silent_crops
from lightning_mia.splits.matching.match import match
from lightning_mia.splits.matching.settings import Matching
from lightning_mia.splits.split import Level
from lightning_mia.utilities.errors import InputError

TOO_SHORT = "shorter than matching.crop_seconds"
SILENT = "silent in the part that would be kept"


class MatchedAudio(NamedTuple):
    """What is left of a corpus."""

    table: pd.DataFrame  # as it was, without what is discarded
    audio: AudioCache  # cropped where that was asked for
    notes: tuple[str, ...]  # what was kept and what was discarded, a sentence each
    discarded: pd.DataFrame  # id, speaker, member, seconds (before cropping), reason


def apply_matching(
    table: pd.DataFrame, audio: AudioCache, settings: Matching, level: Level = "utterance", progress: bool = True
) -> MatchedAudio:
    """Match a ready-made split, and cut its recordings to one length.

    Recordings are matched by their whole durations and cut afterwards: two that were equally long end at like
    places of what was said.

    Args:
        table: table of utterances with the column `member`, all of them in `audio`.
        audio: the decoded corpus.
        settings: what is matched.
        level: level at which the split is to be good.
        progress: show a progress bar.

    Raises:
        InputError: no column `member`, because the split is to be drawn; or too few recordings or speakers are left
            of either side.
    """
    if "member" not in table:
        raise InputError(
            "matching is for a split that the corpus brings (column member), but this one is to be drawn at random, "
            "which makes the sides alike: leave matching out"
        )
    n_samples = None if settings.crop_seconds is None else round(settings.crop_seconds * SAMPLE_RATE)
    unfit = {} if n_samples is None else _unfit(table, audio, n_samples, settings)
    seconds: dict[str, float] = dict(zip(audio.index.index, audio.index["duration"], strict=True))
    matched = match(table, seconds, audio.contents, settings, level, unfit)
    if n_samples is not None:
        audio = crop_recordings(audio, matched.kept, n_samples, settings.crop_from, progress)
    table = table[table["id"].isin(matched.kept)].reset_index(drop=True)
    return MatchedAudio(table, audio, matched.notes(", ".join(settings.parts)), matched.discarded)


def _unfit(table: pd.DataFrame, audio: AudioCache, n_samples: int, settings: Matching) -> dict[str, str]:
    """Recordings that cannot be cut to this length, with the reason."""
    long_enough = audio.index.loc[table["id"], "n_samples"] >= n_samples
    silent = silent_crops(audio, list(long_enough.index[long_enough]), n_samples, settings.crop_from)
    return dict.fromkeys(long_enough.index[~long_enough], TOO_SHORT) | dict.fromkeys(silent, SILENT)
