"""Decode the recordings of a corpus within limits."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.audio.cropping import crop_recordings, silent_crops
from lightning_mia.utilities.errors import InputError, list_first

OnLongAudio = Literal["error", "crop"]

MAX_SECONDS = 120.0
"""Default of the longest recording (seconds): one of 300 s among short ones makes an audit many times slower."""

logger = logging.getLogger(__name__)


def prepare_audio(
    table: pd.DataFrame,
    *,
    cache_dir: Path | None = None,
    on_bad_audio: Literal["error", "skip"] = "error",
    max_seconds: float = MAX_SECONDS,
    on_long_audio: OnLongAudio = "error",
    progress: bool = True,
) -> tuple[AudioCache, tuple[str, ...]]:
    """Decode all recordings of a table.

    Args:
        table: utterance table.
        cache_dir: folder of decoded audio; None: the default.
        on_bad_audio: `error` or `skip` unusable recordings.
        max_seconds: longest recording.
        on_long_audio: `error` makes longer recordings unusable; `crop` keeps their start.
        progress: show progress bars.

    Returns:
        The audio, and sentences for the report about what was changed: cropping, clipping.

    Raises:
        InputError: unusable recordings, or the cache cannot be written.
    """
    limit = max_seconds if on_long_audio == "error" else None
    audio = decode(table, cache_dir=cache_dir, on_bad_audio=on_bad_audio, max_seconds=limit, progress=progress)
    audio, n_cropped = _crop_long(audio, round(max_seconds * SAMPLE_RATE), progress)
    notes = tuple(filter(None, [_cropping_note(n_cropped, max_seconds), _clipping_note(audio)]))
    for note in notes:
        logger.warning(note)
    return audio, notes


def _crop_long(audio: AudioCache, n_samples: int, progress: bool) -> tuple[AudioCache, int]:
    """Crop the longer recordings; also return their number."""
    ids = audio.index.index[audio.index["n_samples"] > n_samples].to_list()
    if not ids:
        return audio, 0
    silent = silent_crops(audio, ids, n_samples, "start")
    if silent:
        raise InputError(f"Cropping leaves only silence of {list_first(silent)}; raise max_seconds or remove them")
    cropped = crop_recordings(audio, ids, n_samples, progress=progress)
    index = pd.concat([audio.index.drop(index=ids), cropped.index]).loc[audio.index.index]
    texts = {name: text for name, text in audio.texts.items() if name not in set(ids)}
    return replace(audio, index=index, texts=texts), len(ids)


def _cropping_note(n_cropped: int, max_seconds: float) -> str:
    return f"{n_cropped} recordings were longer and were cropped to {max_seconds:g} s." if n_cropped else ""


def _clipping_note(audio: AudioCache) -> str:
    clipped = audio.index["n_clipped"][audio.index["n_clipped"] > 0]
    if clipped.empty:
        return ""
    worst = f"{clipped.max()} in {clipped.idxmax()}"
    return f"{clipped.sum()} samples of {len(clipped)} recordings exceed full scale and were clipped (most: {worst})."
