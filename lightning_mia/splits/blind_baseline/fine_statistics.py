"""Statistics of faint traces: codes, spectral lines, quiet spectrum, polarity.

Dither of one bit, a tone 80 dB below full scale, hum or a shelf of 1 dB are far below the speech. They show where
there is none: in the codes of samples, and in the quiet moments of each frequency.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.fft import rfft
from scipy.linalg import solve_toeplitz
from scipy.ndimage import median_filter
from scipy.signal import lfilter

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.utilities.progress_bar import tqdm

WINDOW = 4096  # samples; 256 ms, which separates 50 from 60 Hz
HOP = 1024  # samples
QUIET = 20  # percentile over time; a line that never stops is part of the quietest moments
LINE_NEIGHBOURS = 41  # bins of 3.9 Hz; the local median of a line
LINE_EDGES = (40, 400, 1000, 2000, 4000, 6000, 7950)  # Hz
MAINS = (50, 60)  # Hz
N_HARMONICS = 6
QUIET_EDGES = (0, 100, 250, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 7500, 8000)  # Hz
FLOOR = 1e-16  # of full-scale power in a bin; quantisation to 16 bits has 4e-14
N_LEVELS = 64  # codes around zero whose use is compared with their neighbours'
LPC_ORDER = 16


def fine_statistics(audio: AudioCache, ids: Sequence[str], progress: bool = True) -> pd.DataFrame:
    """Measure the faint traces of recordings.

    Args:
        audio: decoded corpus.
        ids: recordings.
        progress: show a progress bar.

    Returns:
        float64, one row per recording (index `id`), one column per statistic, all finite.
    """
    rows = [
        faint_traces(audio.waveform(utterance_id))
        for utterance_id in tqdm(ids, desc="Fine statistics", unit="clip", disable=not progress)
    ]
    return pd.DataFrame(rows, index=pd.Index(list(ids), name="id"), dtype=np.float64)


def faint_traces(waveform: np.ndarray) -> dict[str, float]:
    """Measure one mono 16 kHz recording, (samples,) float32."""
    quiet = _quiet_spectrum(waveform)
    return {**_codes(waveform), **_lines(quiet), **_quiet_bands(quiet), **_polarity(waveform)}


def _quiet_spectrum(waveform: np.ndarray) -> np.ndarray:
    """Return the power of each frequency in its quiet moments, (bins,) dB."""
    if len(waveform) < WINDOW:
        waveform = np.pad(waveform, (0, WINDOW - len(waveform)), mode="wrap")
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    spectrum = np.concatenate([_power(frames[start : start + 512]) for start in range(0, len(frames), 512)])
    rank = (len(spectrum) - 1) * QUIET // 100
    return 10 * np.log10(np.partition(spectrum, rank, axis=0)[rank].astype(np.float64) + FLOOR)


def _power(frames: np.ndarray) -> np.ndarray:
    window = _window()
    transform = rfft(frames * window, axis=1)
    return (transform.real**2 + transform.imag**2) * (2 / (WINDOW * (window**2).sum()))


@cache
def _window() -> np.ndarray:
    return np.hanning(WINDOW).astype(np.float32)


def _codes(waveform: np.ndarray) -> dict[str, float]:
    """Measure which 16-bit codes are used, and how samples follow each other.

    Scaling a quantised recording leaves gaps and doubled codes, dither fills them.
    """
    values = np.rint(waveform * 32768).astype(np.int32)
    steps = np.abs(np.diff(values, prepend=values[:1]))
    counts = np.bincount(np.clip(values, -N_LEVELS, N_LEVELS) + N_LEVELS, minlength=2 * N_LEVELS + 1)[1:-1]
    counts = counts.astype(np.float64)
    jumps = np.square(np.diff(counts)) / (counts[1:] + counts[:-1] + 1)
    low_bits = np.bincount(values & 7, minlength=8) / len(values)
    return {
        "equal_neighbours": float((steps == 0).mean()),
        "neighbours_one_apart": float((steps == 1).mean()),
        "unused_low_codes": float((counts == 0).mean()),
        "roughness_of_codes": float(np.log1p(jumps.mean())),  # about log 2 if codes are used at random
        "third_bit": float((values & 4 > 0).mean()),
        "second_bit": float((values & 2 > 0).mean()),
        "low_bits_uneven": float(np.log(np.square(low_bits - 1 / 8).sum() + 1e-9)),
    }


def _lines(quiet: np.ndarray) -> dict[str, float]:
    """Measure spectral lines over the local median, dB."""
    over = quiet - median_filter(quiet, LINE_NEIGHBOURS, mode="reflect")  # (bins,)
    bands = [over[_bin(low) : _bin(high)] for low, high in pairwise(LINE_EDGES)]
    tallest = {
        f"tallest_line_{low}_{high}hz_db": float(band.max())
        for (low, high), band in zip(pairwise(LINE_EDGES), bands, strict=True)
    }
    mains = {}
    for mains_frequency in MAINS:
        bins = [_bin(mains_frequency * harmonic) for harmonic in range(1, N_HARMONICS + 1)]
        heights = [over[bin_ - 1 : bin_ + 2].max() for bin_ in bins]
        mains[f"line_{mains_frequency}hz_db"] = float(heights[0])
        mains[f"lines_{mains_frequency}hz_db"] = float(np.mean(heights))
    return {"tallest_line_db": max(tallest.values()), **tallest, **mains}


def _bin(frequency: float) -> int:
    return round(frequency * WINDOW / SAMPLE_RATE)


def _quiet_bands(quiet: np.ndarray) -> dict[str, float]:
    """Measure the spectrum of quiet moments in bands, dB.

    It is that of room, microphone and quantisation, and hardly depends on what is said.
    """
    levels = np.array([quiet[_bin(low) : _bin(high)].mean() for low, high in pairwise(QUIET_EDGES)])
    result = {
        f"quiet_{low}_{high}hz_db": float(level)
        for (low, high), level in zip(pairwise(QUIET_EDGES), levels - levels.mean(), strict=True)
    }
    smallest = np.partition(quiet, len(quiet) // 50)[len(quiet) // 50]
    return result | {"quiet_level_db": float(levels.mean()), "lowest_level_db": float(smallest)}


def _polarity(waveform: np.ndarray) -> dict[str, float]:
    """Measure signed skewness, which changes its sign with the polarity."""
    x = waveform.astype(np.float64) - waveform.mean(dtype=np.float64)
    residual = _prediction_residual(x)
    return {
        "skewness": _skewness(x),
        "skewness_of_steps": _skewness(np.diff(x, prepend=0.0)),
        "skewness_of_residual": _skewness(residual),
    }


def _prediction_residual(x: np.ndarray) -> np.ndarray:
    """Predict samples linearly; the residual shows the pulses of the glottis."""
    correlation = np.array([x[: len(x) - lag] @ x[lag:] for lag in range(LPC_ORDER + 1)])
    correlation[0] = correlation[0] * 1.0001 + 1e-9
    coefficients = solve_toeplitz(correlation[:-1], correlation[1:])
    return np.asarray(lfilter(np.append(1.0, -coefficients), 1.0, x))


def _skewness(x: np.ndarray) -> float:
    centred = x - x.mean()
    squares = centred * centred  # powers of arrays are slow
    return float((squares @ centred / len(x)) / ((squares.mean()) ** 1.5 + 1e-15))
