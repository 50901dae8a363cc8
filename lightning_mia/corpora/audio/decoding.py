"""One audio file, of whatever format, rate and width, to 16 kHz mono int16."""

import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile as sf

ANNOUNCED = re.compile(r"\b(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)")
"""A line of libsndfile's log on a WAV, AIFF, AU, W64 or RF64 file whose byte count is wrong."""

NEVER_CLOSED = 0x7FFF0000
"""Bytes; who writes to a pipe puts a count from here up where it cannot know the true one."""

LAST_PAGE = 0x04
"""Bit of an Ogg page's header that marks the end of the stream (RFC 3533, section 6)."""

PAGE_HEADER, MAX_PAGE = 27, 65_307
"""Bytes of an Ogg page's header without its table of segments, and of the longest page."""


def missing_part(sound: sf.SoundFile, path: str) -> str | None:
    """Say what the container announces and the file lacks; None where nothing is known to be missing.

    Looked at are the end mark of Ogg, the sample count of NIST SPHERE, and the byte counts of WAV, AIFF, AU,
    W64 and RF64. FLAC and MP3 need no look: reading them fails, or gives fewer samples than announced.
    """
    if sound.format == "OGG":
        return None if _ogg_ends(path) else "the Ogg stream has no whole last page"
    if sound.format == "NIST":
        return _nist_shortfall(sound.frames, path)
    for announced, found in ANNOUNCED.findall(sound.extra_info):
        if int(found) < int(announced) < NEVER_CLOSED:
            return f"the header announces {announced} bytes, {found} are there"
    return None


def _ogg_ends(path: str) -> bool:
    """Find the last page, and see whether it is marked as such and all there."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - MAX_PAGE))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < PAGE_HEADER:
        return False
    flags, n_segments = page[5], page[26]
    segments = page[PAGE_HEADER : PAGE_HEADER + n_segments]  # their lengths in bytes
    return bool(flags & LAST_PAGE) and len(page) >= PAGE_HEADER + n_segments + sum(segments)


def _nist_shortfall(frames: int, path: str) -> str | None:
    with open(path, "rb") as file:
        announced = re.search(rb"sample_count -i (\d+)", file.read(1024))
    if announced and frames < int(announced[1]):
        return f"the header announces {int(announced[1])} samples, {frames} are there"
    return None


SAMPLE_RATE = 16_000
"""Hz, of everything behind the decoder."""

MIN_SECONDS = 0.1
"""Seconds; anything shorter has too few frames to mask."""

# The resampler's filter: zero crossings a side, middle of the transition band as a share of the lower Nyquist
# frequency, Kaiser's beta. It passes 86 % of the band within 0.001 dB; what lies above 102 % is 80 dB down.
ZERO_CROSSINGS, ROLLOFF, KAISER_BETA = 32, 0.94, 8.0


class BadAudioError(Exception):
    """A file that cannot be used; the message is the reason in a few words, without the file's name."""


@dataclass(frozen=True)
class Decoded:
    """One recording as models hear it, and what its container told."""

    samples: np.ndarray  # (n_samples,) int16, 16 kHz mono
    source_rate: int  # Hz
    source_channels: int
    source_format: str  # as libsndfile names it: "FLAC", "WAV", "OGG" …
    source_subtype: str  # "PCM_16", "FLOAT", "VORBIS" …


def decode_file(path: str) -> Decoded:
    """Decode one file: mean of the channels, 16 kHz, rounded to 16 bits.

    A 16-bit mono file at 16 kHz comes out bit for bit. Levels are kept as they are; samples of float files
    (or of lossy codecs) outside [−1, 1] are clipped.

    Raises:
        BadAudioError: the file is missing, unreadable, not audio, truncated, empty, shorter than 0.1 s,
            silent, or has samples that are not finite.
    """
    _refuse_unreadable(path)
    try:
        with sf.SoundFile(path) as sound:
            waveform = _read(sound, path)  # (n,) float32 at the source's rate
            container = (sound.samplerate, sound.channels, sound.format, sound.subtype)
    except sf.LibsndfileError as error:
        raise BadAudioError(f"not readable as audio ({error.error_string.strip(' .')})") from error
    samples = to_int16(resample(waveform, container[0]))
    if not samples.any():
        raise BadAudioError("silent: every sample is zero at 16 bits")
    return Decoded(samples, *container)


def resample(waveform: np.ndarray, rate: int) -> np.ndarray:
    """Bring a waveform to 16 kHz with a windowed-sinc filter.

    Args:
        waveform: (n,) float32.
        rate: its sampling rate, Hz.

    Returns:
        (⌈n · 16000 / rate⌉,) float32; the same array where the rate is 16 kHz already.
    """
    if rate == SAMPLE_RATE:
        return waveform
    from scipy.signal import resample_poly

    common = math.gcd(SAMPLE_RATE, rate)
    up, down = SAMPLE_RATE // common, rate // common
    return resample_poly(waveform, up, down, window=_low_pass(max(up, down)))


def to_int16(waveform: np.ndarray) -> np.ndarray:
    """Round a waveform of full scale ±1 to 16 bits, clipped, without dither.

    >>> to_int16(np.array([0.5, -1.0, 2.0], dtype=np.float32)).tolist()
    [16384, -32768, 32767]
    """
    return np.clip(np.round(waveform * 32768), -32768, 32767).astype(np.int16)


def _refuse_unreadable(path: str) -> None:
    """Say in plain words what libsndfile reports as "System error" or "Format not recognised"."""
    if not os.path.exists(path):
        raise BadAudioError("no such file")
    if not os.path.isfile(path):
        raise BadAudioError("not a file")
    if not os.access(path, os.R_OK):
        raise BadAudioError("permission denied")
    if os.path.getsize(path) == 0:
        raise BadAudioError("empty file")
    if path.lower().endswith(".raw"):
        raise BadAudioError("headerless audio, whose rate and format are unknown")


def _read(sound: sf.SoundFile, path: str) -> np.ndarray:
    """Read the file and mix it to mono, (n,) float32; refuse what is short, cut short or not finite."""
    channels = sound.read(dtype="float32", always_2d=True)  # (n, channels)
    if len(channels) < sound.frames:
        what = f"the header announces {sound.frames} samples, {len(channels)} are there"
        raise BadAudioError(f"truncated: {what}")
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
    """Taps, (2 · 32 · factor + 1,) float32, of the low-pass at 1 / factor of the Nyquist frequency."""
    from scipy.signal import firwin

    length = 2 * ZERO_CROSSINGS * factor + 1
    return firwin(length, ROLLOFF / factor, window=("kaiser", KAISER_BETA)).astype(np.float32)
