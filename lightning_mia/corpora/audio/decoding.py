"""Decode audio files to 16 kHz mono int16."""

import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile as sf

from lightning_mia.corpora.audio import SAMPLE_RATE

MIN_SECONDS = 0.1
"""Shortest usable recording (seconds); shorter ones have too few frames to mask."""

# The resampler's filter: zero crossings on each side, middle of the transition band as a fraction of the lower Nyquist
# frequency, Kaiser's beta. It passes 86 % of the band within 0.001 dB; above 102 % it attenuates by 80 dB.
ZERO_CROSSINGS, ROLLOFF, KAISER_BETA = 32, 0.94, 8.0

ANNOUNCED = re.compile(r"\b(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
"""Line of libsndfile's log on a WAV, AIFF, AU, W64 or RF64 file with a wrong byte count."""

NEVER_CLOSED = 0x7FFF0000
"""Byte counts from this value on are placeholders, written by programs that stream to a pipe."""

LAST_PAGE = 0x04
"""Bit of an Ogg page header that marks the end of the stream (RFC 3533, section 6)."""

PAGE_HEADER, MAX_PAGE = 27, 65_307
"""Size of an Ogg page header without its segment table, and of the longest page (bytes)."""


class BadAudioError(Exception):
    """Raised for unusable audio; the message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """Decoded recording and its container metadata."""

    samples: np.ndarray  # (n_samples,) int16, 16 kHz mono
    source_rate: int  # Hz
    source_channels: int
    source_format: str  # libsndfile's name: "FLAC", "WAV", "OGG" …
    source_subtype: str  # "PCM_16", "FLOAT", "VORBIS" …


def decode_file(path: str) -> Decoded:
    """Decode one file to 16 kHz mono int16.

    Channels are averaged. A 16-bit mono file at 16 kHz is decoded bit-exactly. Levels are preserved; samples of float
    files (or of lossy codecs) outside [−1, 1] are clipped.

    Raises:
        BadAudioError: the file is missing, unreadable, not audio, truncated, empty, shorter than 0.1 s or silent, or
            has non-finite samples.
    """
    _check_readable(path)
    try:
        with sf.SoundFile(path) as sound:
            waveform = _read_mono(sound, path)  # (n,) float32 at the source's rate
            container = (sound.samplerate, sound.channels, sound.format, sound.subtype)
    except sf.LibsndfileError as error:
        raise BadAudioError(f"not readable as audio ({error.error_string.strip(' .')})") from error
    samples = to_int16(resample(waveform, container[0]))
    if not samples.any():
        raise BadAudioError("silent: every sample is zero at 16 bits")
    return Decoded(samples, *container)


def resample(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Resample to 16 kHz with a windowed-sinc filter.

    Args:
        waveform: (n,) float32.
        rate: its sampling rate (Hz).

    Returns:
        (⌈n · 16000 / rate⌉,) float32; the same array if the rate is 16 kHz.
    """
    if rate == SAMPLE_RATE:
        return waveform
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, rate)
    up, down = SAMPLE_RATE // common, rate // common
    return resample_poly(waveform, up, down, window=_low_pass(max(up, down)))


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Round a waveform in ±1 to clipped 16-bit samples.

    >>> to_int16(np.array([0.5, -1.0, 2.0], dtype=np.float32)).tolist()
    [16384, -32768, 32767]
    """
    return np.clip(np.round(waveform * 32768), -32768, 32767).astype(np.int16)


def missing_part(sound: sf.SoundFile, path: str) -> str | None:
    """Describe missing audio; None if the file seems complete.

    Checks the end mark of Ogg, the sample count of NIST SPHERE, and the byte counts of WAV, AIFF, AU, W64 and RF64.
    Truncated FLAC and MP3 need no check: reading them fails, or returns fewer samples than announced.
    """
    if sound.format == "OGG":
        return None if _ogg_is_complete(path) else "the Ogg stream has no complete last page"
    if sound.format == "NIST":
        return _nist_shortfall(sound.frames, path)
    for announced, present in ANNOUNCED.findall(sound.extra_info):
        if int(present) < int(announced) < NEVER_CLOSED:
            return f"the header announces {announced} bytes, {present} are present"
    return None


def _check_readable(path: str) -> None:
    """Reject unreadable files.

    libsndfile would only report "System error" or "Format not recognised".
    """
    if not os.path.exists(path):
        raise BadAudioError("no such file")
    if not os.path.isfile(path):
        raise BadAudioError("not a file")
    if not os.access(path, os.R_OK):
        raise BadAudioError("permission denied")
    if os.path.getsize(path) == 0:
        raise BadAudioError("empty file")
    if path.lower().endswith(".raw"):
        raise BadAudioError("headerless audio of unknown rate and format")


def _read_mono(sound: sf.SoundFile, path: str) -> np.ndarray:
    """Read a file as mono, (n,) float32.

    Short, truncated and non-finite audio is rejected.
    """
    channels = sound.read(dtype="float32", always_2d=True)  # (n, channels)
    if len(channels) < sound.frames:
        raise BadAudioError(f"truncated: the header announces {sound.frames} samples, {len(channels)} are present")
    if missing := missing_part(sound, path):
        raise BadAudioError(f"truncated: {missing}")
    if len(channels) == 0:
        raise BadAudioError("no samples")
    if len(channels) < MIN_SECONDS * sound.samplerate:
        raise BadAudioError(f"{len(channels) / sound.samplerate:.3f} s long, shorter than {MIN_SECONDS} s")
    if not np.isfinite(channels).all():
        raise BadAudioError(f"{np.sum(~np.isfinite(channels))} samples are not finite (NaN or infinite)")
    return channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """Design the low-pass filter, (64 factor + 1,) float32.

    Its cutoff is the Nyquist frequency divided by `factor`.
    """
    from scipy.signal import firwin

    length = 2 * ZERO_CROSSINGS * factor + 1
    return firwin(length, ROLLOFF / factor, window=("kaiser", KAISER_BETA)).astype(np.float32)


def _ogg_is_complete(path: str) -> bool:
    """Check that the last page is complete and marked."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - MAX_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < PAGE_HEADER:
        return False
    flags, n_segments = page[5], page[26]
    segments = page[PAGE_HEADER : PAGE_HEADER + n_segments]  # their lengths in bytes
    return bool(flags & LAST_PAGE) and len(page) >= PAGE_HEADER + n_segments + sum(segments)


def _nist_shortfall(n_samples: int, path: str) -> str | None:
    with open(path, "rb") as file:
        announced = re.search(rb"sample_count -i (\d+)", file.read(1024))
    if announced and n_samples < int(announced[1]):
        return f"the header announces {int(announced[1])} samples, {n_samples} are present"
    return None
