"""Short-time measurements of a waveform, for the blind statistics."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.fft import dct, irfft, rfft

from lightning_mia.corpora.audio import SAMPLE_RATE

WINDOW = 640  # samples; 40 ms, a little over two periods of the lowest pitch
HOP = 160  # samples; 10 ms
FFT = 1024  # samples; at least WINDOW + MAX_LAG, so that the autocorrelation does not wrap around
MIN_LAG, MAX_LAG = 40, 266  # samples; pitch of 400 Hz and of 60 Hz
MEL_BANDS, CEPSTRA = 40, 13
FRAMES_PER_BLOCK = 3000  # limits the working memory; results take 12 MB per minute of audio
FLOOR = 1e-10  # of full-scale power; −100 dB, below the quantisation noise of 16 bits (−98 dB)


@dataclass(frozen=True)
class Frames:
    """Measurements in frames of 40 ms every 10 ms."""

    power: np.ndarray  # (frames,) mean square, full scale = 1
    spectrum: np.ndarray  # (frames, FFT // 2 + 1) power per bin, sums to about `power`
    cepstra: np.ndarray  # (frames, CEPSTRA) MFCC, natural logarithm
    pitch: np.ndarray  # (frames,) Hz, of the strongest periodicity, also in unvoiced frames
    periodicity: np.ndarray  # (frames,) normalised autocorrelation at that lag, close to 1 in vowels


def measure_frames(waveform: np.ndarray) -> Frames:
    """Measure every frame of a mono 16 kHz waveform, (samples,).

    It is zero-padded to at least one frame.
    """
    waveform = np.asarray(waveform, np.float32)
    if len(waveform) < WINDOW:
        waveform = np.pad(waveform, (0, WINDOW - len(waveform)))
    blocks = [_measure(block) for block in _blocks(waveform)]
    return Frames(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def bin_frequencies() -> np.ndarray:
    """Return the frequencies of `Frames.spectrum` (Hz), (bins,)."""
    return np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)


def _blocks(waveform: np.ndarray) -> Iterator[np.ndarray]:
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]  # (frames, WINDOW), a view
    for start in range(0, len(frames), FRAMES_PER_BLOCK):
        yield frames[start : start + FRAMES_PER_BLOCK]


def _measure(frames: np.ndarray) -> tuple[np.ndarray, ...]:
    window, window_autocorrelation, mel = _window(), _window_autocorrelation(), _mel_filters()
    power = np.einsum("ft,ft->f", frames, frames) / WINDOW
    transform = rfft(frames * window, FFT, axis=1)
    spectrum = transform.real**2 + transform.imag**2  # (frames, bins)
    autocorrelation = irfft(spectrum, FFT, axis=1)[:, : MAX_LAG + 1]
    # Dividing by the window's autocorrelation compensates its taper (Boersma 1993, eq. 9).
    periodicity = autocorrelation / (window_autocorrelation * (autocorrelation[:, :1] + FLOOR))
    lag = MIN_LAG + (periodicity - _octave_cost())[:, MIN_LAG:].argmax(axis=1)
    spectrum *= 2 / (FFT * (window**2).sum())
    cepstra = dct(np.log(spectrum @ mel + FLOOR), axis=1, norm="ortho")[:, :CEPSTRA]
    return power, spectrum, cepstra, SAMPLE_RATE / lag, periodicity[np.arange(len(lag)), lag]


@cache
def _window() -> np.ndarray:
    return np.hanning(WINDOW).astype(np.float32)


@cache
def _window_autocorrelation() -> np.ndarray:
    autocorrelation = irfft(np.abs(rfft(_window(), FFT)) ** 2, FFT)[: MAX_LAG + 1]
    return autocorrelation / autocorrelation[0]


@cache
def _octave_cost() -> np.ndarray:
    """Return the penalty of long lags, (lags,).

    Multiples of a period match, too (Boersma 1993, eq. 24).
    """
    return (0.03 * np.log2(np.maximum(np.arange(MAX_LAG + 1), 1) / MIN_LAG)).astype(np.float32)


@cache
def _mel_filters() -> np.ndarray:
    """Return triangular mel filters, (bins, MEL_BANDS).

    They cover 20 Hz to 8 kHz on O'Shaughnessy's scale.
    """
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    low = 2595 * np.log10(1 + 20 / 700)
    edges = 700 * (10 ** (np.linspace(low, top, MEL_BANDS + 2) / 2595) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = bin_frequencies()[:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return np.maximum(triangles, 0).astype(np.float32)
