"""The room, the noise and the level of a recording, drawn anew for each whoever speaks."""

import functools
from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 16_000
"""Sampling rate of a finished recording in Hz."""

_TRIM_DB = -50.0  # below the loudest sample: quieter beginnings and ends of what espeak-ng returns are silence
_DIRECT_DELAY_S = 0.004  # the first reflection arrives after a path that is 1.4 m longer


@dataclass(frozen=True)
class Acoustics:
    """How one recording was made.

    Attributes:
        lead, tail: seconds of background before and after the speech.
        rt60: seconds until the reverberation has fallen by 60 dB.
        direct_to_reverberant: energy of the direct sound over that of the reverberation, dB.
        noise_slope: the noise's power falls as frequency to this power (0 white, 1 pink, 2 brown).
        snr: energy of the speech over that of the noise, dB.
        level: of the speech, root mean square, dB below full scale (negative).
    """

    lead: float
    tail: float
    rt60: float
    direct_to_reverberant: float
    noise_slope: float
    snr: float
    level: float


def draw_acoustics(rng: np.random.Generator) -> Acoustics:
    """Draw the acoustics of a recording, from a quiet study to a large room with a fan."""
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
    """Record dry speech in a room.

    Args:
        speech: dry samples, int16 or float, shape (n_source,).
        source_rate: their sampling rate in Hz.
        acoustics: the room, the noise and the level.
        rng: draws the reflections and the noise.

    Returns:
        Samples, int16, shape (n_samples,), at 16 kHz.
    """
    dry = resample(trim(speech.astype(np.float64)), source_rate)
    lead, tail = round(acoustics.lead * SAMPLE_RATE), round(acoustics.tail * SAMPLE_RATE)
    wet = add_room(np.pad(dry, (lead, tail)), acoustics, rng)
    speech_rms = np.sqrt(np.mean(wet[lead : lead + len(dry)] ** 2))
    noise = coloured_noise(len(wet), acoustics.noise_slope, rng) * speech_rms * 10 ** (-acoustics.snr / 20)
    recording = (wet + noise) * (10 ** (acoustics.level / 20) / speech_rms)
    recording *= min(1.0, 0.95 / np.abs(recording).max())  # a microphone's owner turns it down rather than clip
    return np.round(recording * 32767).astype(np.int16)


def trim(samples: np.ndarray) -> np.ndarray:
    """Cut the silence before and after the speech; shape (n,) to (n - silent samples,)."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (_TRIM_DB / 20))
    return samples[loud[0] : loud[-1] + 1]


def resample(samples: np.ndarray, source_rate: int) -> np.ndarray:
    """Resample samples, shape (n_source,), from `source_rate` to 16 kHz."""
    from scipy.signal import resample_poly

    divisor = np.gcd(SAMPLE_RATE, source_rate)
    up, down = SAMPLE_RATE // divisor, source_rate // divisor
    return resample_poly(samples, up, down, window=_low_pass(up, down))


@functools.cache
def _low_pass(up: int, down: int) -> np.ndarray:
    """The filter that `resample_poly` would design every time: 10 lobes a side, Kaiser window, beta 5."""
    from scipy.signal import firwin

    widest = max(up, down)
    return firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))


def add_room(dry: np.ndarray, acoustics: Acoustics, rng: np.random.Generator) -> np.ndarray:
    """Add reverberation: exponentially decaying Gaussian reflections after the direct sound (Polack's model).

    Shape (n,) to (n,): what rings on after the end is cut.
    """
    from scipy.signal import oaconvolve

    n_reflections = round(acoustics.rt60 * SAMPLE_RATE)
    decay = np.exp(np.linspace(0.0, -3 * np.log(10), n_reflections))  # 60 dB is a factor of 1000
    reflections = rng.standard_normal(n_reflections) * decay
    reflections *= 10 ** (-acoustics.direct_to_reverberant / 20) / np.sqrt(np.sum(reflections**2))
    wet = dry.copy()
    delay = round(_DIRECT_DELAY_S * SAMPLE_RATE)
    wet[delay:] += oaconvolve(dry, reflections)[: len(dry) - delay]
    return wet


def coloured_noise(n_samples: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise, shape (n_samples,), root mean square 1; its power falls as frequency to the `slope`."""
    from scipy.fft import irfft, next_fast_len

    n = next_fast_len(n_samples, real=True)
    spectrum = rng.standard_normal(n + 2 - n % 2).view(np.complex128)  # (n // 2 + 1,)
    hertz = np.arange(len(spectrum)) * (SAMPLE_RATE / n)
    spectrum *= np.maximum(hertz, 50.0) ** (-slope / 2)  # flat below 50 Hz, or brown noise would be all rumble
    noise = irfft(spectrum, n)[:n_samples]
    return noise / np.sqrt(np.mean(noise**2))
