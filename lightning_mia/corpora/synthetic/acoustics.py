"""Room, noise and level, drawn independently of the speaker."""

import functools
from dataclasses import dataclass

import numpy as np

from lightning_mia.corpora.audio import SAMPLE_RATE

_SILENCE_DB = -50.0  # relative to the loudest sample
_FIRST_REFLECTION_S = 0.004  # delay after the direct sound: a path 1.4 m longer


@dataclass(frozen=True)
class Acoustics:
    """Acoustics of one recording.

    Attributes:
        lead, tail: background before and after the speech (seconds).
        rt60: reverberation time, until the energy has fallen by 60 dB (seconds).
        direct_to_reverberant: energy ratio of direct sound and reverberation (dB).
        noise_slope: exponent of the noise's 1/f spectrum (0 white, 1 pink, 2 brown).
        snr: energy ratio of speech and noise (dB).
        level: root mean square of the speech relative to full scale (dB, negative).
    """

    lead: float
    tail: float
    rt60: float
    direct_to_reverberant: float
    noise_slope: float
    snr: float
    level: float


def draw_acoustics(rng: np.random.Generator) -> Acoustics:
    """Draw acoustics, from a quiet study to a noisy hall."""
    return Acoustics(
        lead=rng.uniform(0.04, 0.15),
        tail=rng.uniform(0.08, 0.20),
        rt60=rng.uniform(0.15, 0.6),
        direct_to_reverberant=rng.uniform(0.0, 15.0),
        noise_slope=rng.uniform(0.0, 2.0),
        snr=rng.uniform(15.0, 40.0),
        level=rng.uniform(-34.0, -22.0),
    )


def record(speech: np.ndarray, source_rate: int, acoustics: Acoustics, rng: np.random.Generator) -> np.ndarray:
    """Simulate the recording of dry speech in a room.

    Args:
        speech: dry speech, int16 or float, (n_source,).
        source_rate: its sampling rate (Hz).
        acoustics: room, noise and level.
        rng: generator of the reflections and the noise.

    Returns:
        Recording, int16, (n_samples,), at 16 kHz.
    """
    dry = resample(trim(speech.astype(np.float64)), source_rate)
    lead, tail = round(acoustics.lead * SAMPLE_RATE), round(acoustics.tail * SAMPLE_RATE)
    wet = add_room(np.pad(dry, (lead, tail)), acoustics, rng)
    speech_rms = np.sqrt(np.mean(wet[lead : lead + len(dry)] ** 2))
    noise = coloured_noise(len(wet), acoustics.noise_slope, rng) * speech_rms * 10 ** (-acoustics.snr / 20)
    recording = (wet + noise) * (10 ** (acoustics.level / 20) / speech_rms)
    recording *= min(1.0, 0.95 / np.abs(recording).max())  # lower the gain rather than clip
    return np.round(recording * 32767).astype(np.int16)


def trim(samples: np.ndarray) -> np.ndarray:
    """Remove silence at both ends, (n,) to (n − silence,)."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (_SILENCE_DB / 20))
    return samples[loud[0] : loud[-1] + 1]


def resample(samples: np.ndarray, source_rate: int) -> np.ndarray:
    """Resample from `source_rate` to 16 kHz."""
    from scipy.signal import resample_poly

    divisor = np.gcd(SAMPLE_RATE, source_rate)
    up, down = SAMPLE_RATE // divisor, source_rate // divisor
    return resample_poly(samples, up, down, window=_low_pass(up, down))


def add_room(dry: np.ndarray, acoustics: Acoustics, rng: np.random.Generator) -> np.ndarray:
    """Add exponentially decaying Gaussian reflections (Polack's model), (n,) to (n,).

    Reverberation after the end is cut.
    """
    from scipy.signal import oaconvolve

    n_reflections = round(acoustics.rt60 * SAMPLE_RATE)
    decay = np.exp(np.linspace(0.0, -3 * np.log(10), n_reflections))  # 60 dB is a factor of 1000
    reflections = rng.standard_normal(n_reflections) * decay
    reflections *= 10 ** (-acoustics.direct_to_reverberant / 20) / np.sqrt(np.sum(reflections**2))
    wet = dry.copy()
    delay = round(_FIRST_REFLECTION_S * SAMPLE_RATE)
    wet[delay:] += oaconvolve(dry, reflections)[: len(dry) - delay]
    return wet


def coloured_noise(n_samples: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Draw 1/f^slope noise of unit power, (n_samples,)."""
    from scipy.fft import irfft, next_fast_len

    n = next_fast_len(n_samples, real=True)
    spectrum = rng.standard_normal(n + 2 - n % 2).view(np.complex128)  # (n // 2 + 1,)
    hertz = np.arange(len(spectrum)) * (SAMPLE_RATE / n)
    spectrum *= np.maximum(hertz, 50.0) ** (-slope / 2)  # flat below 50 Hz, so that brown noise is not all rumble
    noise = irfft(spectrum, n)[:n_samples]
    return noise / np.sqrt(np.mean(noise**2))


@functools.cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """Design the default filter of `resample_poly`, once."""
    from scipy.signal import firwin

    widest = max(up, down)
    return firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))
