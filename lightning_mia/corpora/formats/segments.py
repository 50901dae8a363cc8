"""Cut utterances from long recordings into FLAC files."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import atomic_path, file_state, hash_of

if TYPE_CHECKING:
    import soundfile

Span = tuple[float, float]
"""Start and end of an utterance within a recording (seconds)."""

VERSION = 1
"""Increase this whenever cutting changes, so that older segments are not reused."""

TOLERANCE = 0.5
"""Seconds by which a segment may exceed the recording: published times are rounded."""


def segment_folder(recording: Path, cache_dir: Path) -> Path:
    """Return the folder of a recording's segments.

    It depends on the recording's size, times and inode.
    """
    key = hash_of([VERSION, str(recording), *file_state(recording)])
    return cache_dir / f"{recording.stem}-{key[:12]}"


def recording_seconds(recording: Path) -> float:
    """Return a recording's length (seconds), as its header states it.

    Raises:
        InputError: the recording cannot be read.
    """
    import soundfile

    try:
        return soundfile.info(str(recording)).duration
    except soundfile.LibsndfileError as error:
        cause = error.error_string.strip(" .")
        raise InputError(f"{recording}: not readable as audio ({cause}); restore it as it was published") from error


def segment_name(span: Span) -> str:
    """Return a segment's file name: its times in milliseconds.

    >>> segment_name((14.26, 29.92))
    '0014260-0029920.flac'
    """
    start, end = (round(1000 * seconds) for seconds in span)
    return f"{start:07d}-{end:07d}.flac"


def missing_segments(folder: Path, spans: Sequence[Span]) -> list[Span]:
    """Return the spans without a file in `folder`."""
    present = set(os.listdir(folder)) if folder.is_dir() else set()
    return [span for span in spans if segment_name(span) not in present]


def cut_segments(recording: Path, spans: Sequence[Span], folder: Path) -> None:
    """Cut segments out of a recording.

    Rate and channels are kept; 16-bit audio is bit-exact.

    Raises:
        InputError: the recording cannot be read or ends before a span; the folder cannot be written.
    """
    import soundfile

    try:
        with soundfile.SoundFile(recording) as sound:
            for span in spans:
                write_flac(folder / segment_name(span), _read_span(sound, span, recording), sound.samplerate)
    except soundfile.LibsndfileError as error:
        cause = error.error_string.strip(" .")
        raise InputError(f"{recording}: not readable as audio ({cause}); restore it as it was published") from error


def write_flac(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples, int16, (n_samples,) or (n_samples, channels), at `rate` Hz.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    import soundfile

    # In memory first: libsndfile reports a full disk as an error without a cause.
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, rate, format="FLAC", subtype="PCM_16")
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _read_span(sound: "soundfile.SoundFile", span: Span, recording: Path) -> np.ndarray:
    """Read one span, int16, (n_samples, channels)."""
    start, end = (round(seconds * sound.samplerate) for seconds in span)
    if start >= sound.frames or end > sound.frames + TOLERANCE * sound.samplerate:
        length = sound.frames / sound.samplerate
        problem = f"ends at {length:.2f} s, before the utterance from {span[0]} s to {span[1]} s"
        raise InputError(f"{recording}: {problem}: it is truncated; restore it as it was published")
    sound.seek(start)
    return sound.read(end - start, dtype="int16", always_2d=True)
