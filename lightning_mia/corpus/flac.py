"""Recordings that this package makes itself: 16-bit FLAC files, whole or absent."""

import io
from pathlib import Path

import numpy as np

from lightning_mia.files import atomic_path


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
