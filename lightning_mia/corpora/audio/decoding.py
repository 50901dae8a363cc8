"""Decode audio files to 16 kHz mono int16."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lightning_mia.corpora.audio import SAMPLE_RATE, BadAudioError
from lightning_mia.corpora.audio.reading import Audio, read_audio

MIN_SECONDS = 0.1
"""Shortest usable recording (seconds); shorter ones have too few frames to mask."""

TOLERANCE = 0.1
"""Difference between stated and measured duration that is accepted (seconds)."""

# The resampler's filter: zero crossings on each side, middle of the transition band as a fraction of the lower Nyquist
# frequency, Kaiser's beta. It passes 86 % of the band within 0.001 dB; above 102 % it attenuates by 80 dB.
ZERO_CROSSINGS, ROLLOFF, KAISER_BETA = 32, 0.94, 8.0


@dataclass(frozen=True)
class Decoded:
    """Decoded recording and its container metadata."""

    samples: np.ndarray  # (n_samples,) int16, 16 kHz mono
    source_rate: int  # Hz
    source_channels: int
    source_format: str  # libsndfile's name: "FLAC", "WAV", "OGG" …
    source_subtype: str  # "PCM_16", "FLOAT", "VORBIS" …
    n_clipped: int = 0  # samples beyond full scale, after averaging and resampling


def decode_file(path: str) -> Decoded:
    """Decode one file to 16 kHz mono int16.

    Channels are averaged. A 16-bit mono file at 16 kHz is decoded bit-exactly. Levels are preserved; samples of float
    files (or of lossy codecs) outside [−1, 1] are clipped and counted.

    Raises:
        BadAudioError: the file cannot be read whole, see `read_audio`, or is empty, shorter than 0.1 s or silent.
    """
    audio = read_audio(path)
    waveform = resample(_mono(audio), audio.rate)
    samples = to_int16(waveform)
    if not samples.any():
        raise BadAudioError("silent: every sample is zero at 16 bits")
    container = audio.rate, audio.channels.shape[1], audio.format, audio.subtype
    return Decoded(samples, *container, n_clipped=count_clipped(waveform))


def count_clipped(waveform: np.ndarray) -> int:
    """Count the samples outside the range of 16 bits.

    >>> count_clipped(np.array([1.0, 1.1, -1.0, -1.1], dtype=np.float32))
    2
    """
    if max(waveform.max(), -waveform.min()) <= 1:
        return 0
    return int(np.sum(np.abs(np.round(waveform * 32768)) > 32768))


def length_reason(seconds: float, stated: float, max_seconds: float | None) -> str:
    """Return why a recording's length makes it unusable, or "".

    Args:
        seconds: measured duration.
        stated: duration in the corpus's table; NaN if unknown.
        max_seconds: largest duration; None: no limit.

    >>> length_reason(1.0, 0.25, None)
    '1.000 s long, but 0.250 s are stated as its duration'
    >>> length_reason(300.0, math.nan, 120.0)
    '300.0 s long, longer than max_seconds (120)'
    """
    if abs(seconds - stated) > TOLERANCE:
        return f"{seconds:.3f} s long, but {stated:.3f} s are stated as its duration"
    if max_seconds is not None and seconds > max_seconds:
        return f"{seconds:.1f} s long, longer than max_seconds ({max_seconds:g})"
    return ""


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


def _mono(audio: Audio) -> np.ndarray:
    """Average the channels, (n,) float32.

    Short audio and channels that cancel are rejected.
    """
    n_samples, n_channels = audio.channels.shape
    if n_samples == 0:
        raise BadAudioError("no samples")
    if n_samples < MIN_SECONDS * audio.rate:
        seconds = f"{n_samples / audio.rate:.6f}".rstrip("0").rstrip(".")
        problem = f"{n_samples} samples at {audio.rate} Hz"
        raise BadAudioError(f"{problem}: {seconds} s long, shorter than {MIN_SECONDS} s")
    if n_channels == 1:
        return audio.channels[:, 0]
    waveform = audio.channels.mean(axis=1)
    if not to_int16(waveform).any() and to_int16(audio.channels).any():
        raise BadAudioError(f"its {n_channels} channels cancel when averaged; choose one with a column channel")
    return waveform


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> np.ndarray:
    """Design the low-pass filter, (64 factor + 1,) float32.

    Its cutoff is the Nyquist frequency divided by `factor`.
    """
    from scipy.signal import firwin

    length = 2 * ZERO_CROSSINGS * factor + 1
    return firwin(length, ROLLOFF / factor, window=("kaiser", KAISER_BETA)).astype(np.float32)
