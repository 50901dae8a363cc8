"""Utterances cut out of long recordings: every one a FLAC file of its own, written once."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, hash_of

if TYPE_CHECKING:
    import soundfile


def write_flac(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples, int16, shape (n_samples,) or (n_samples, channels), at `rate` Hz.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    import soundfile

    encoded = io.BytesIO()  # in memory first: libsndfile reports a full disk as an error without a cause
    soundfile.write(encoded, samples, rate, format="FLAC", subtype="PCM_16")
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


Span = tuple[float, float]
"""Seconds from the recording's beginning: first sample of an utterance, and the one after its last."""

VERSION = 1
"""Raised whenever cutting changes, so that older clips are not taken for new ones."""

TOLERANCE = 0.5
"""Seconds that a segment may reach over the recording's end: rounded times, not a recording cut short."""


def clip_folder(recording: Path, cache_dir: Path) -> Path:
    """Return the folder of the recording's clips; another size or time of modification gives another folder."""
    stat = recording.stat()
    key = hash_of([VERSION, str(recording), stat.st_size, stat.st_mtime_ns])
    return cache_dir / f"{recording.stem}-{key[:12]}"


def clip_name(span: Span) -> str:
    """Name a clip by its times in milliseconds.

    >>> clip_name((14.26, 29.92))
    '0014260-0029920.flac'
    """
    start, end = (round(1000 * seconds) for seconds in span)
    return f"{start:07d}-{end:07d}.flac"


def missing_clips(folder: Path, spans: Sequence[Span]) -> list[Span]:
    """Return the spans that no earlier run has cut, by one look at the folder."""
    present = set(os.listdir(folder)) if folder.is_dir() else set()
    return [span for span in spans if clip_name(span) not in present]


def cut_clips(recording: Path, spans: Sequence[Span], folder: Path) -> None:
    """Cut utterances out of a recording, bit for bit where it has 16 bits, at its own rate and with its channels.

    Raises:
        InputError: the recording cannot be read or ends before a span does; the folder cannot be written to.
    """
    import soundfile

    try:
        with soundfile.SoundFile(recording) as sound:
            for span in spans:
                write_flac(folder / clip_name(span), _read(sound, span, recording), sound.samplerate)
    except soundfile.LibsndfileError as error:
        what = error.error_string.strip(" .")
        raise InputError(f"{recording}: not readable as audio ({what}); restore it as it was published") from error


def _read(sound: "soundfile.SoundFile", span: Span, recording: Path) -> np.ndarray:
    """Read one span, int16, shape (n_samples, channels)."""
    start, end = (round(seconds * sound.samplerate) for seconds in span)
    if start >= sound.frames or end > sound.frames + TOLERANCE * sound.samplerate:
        what = f"ends at {sound.frames / sound.samplerate:.2f} s, before the utterance from {span[0]} s to {span[1]} s"
        raise InputError(f"{recording}: {what}: it was cut short; restore it as it was published")
    sound.seek(start)
    return sound.read(end - start, dtype="int16", always_2d=True)
