"""Model-free statistics of recordings.

They describe length, level, noise, spectrum, pitch, room and codec.

A membership attack that does not beat a classifier on these statistics proves nothing about the model. Every recording
is measured separately, from its 16 kHz, 16-bit samples and its container metadata.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.splits.blind_baseline.short_time import (
    CEPSTRA,
    FFT,
    FLOOR,
    HOP,
    Frames,
    bin_frequencies,
    measure_frames,
)
from lightning_mia.utilities.progress_bar import tqdm

CONTAINER_COLUMNS = ("source_rate", "source_channels", "source_format", "source_subtype")
BAND_EDGES = (0, 100, 200, 400, 800, 1600, 2400, 3400, 4000, 5000, 6000, 7000, 7500, 8000)  # Hz
N_HIGH_BANDS = 5  # the highest bands, which perceptual codecs zero in quiet frames
ROOM_BANDS = (200, 1000, 3000, 7000)  # Hz; edges of the bands in which decay is measured
ROOM_NAMES = ("low", "middle", "high")
ENVELOPE_LAGS = (3, 6, 12)  # frames of 10 ms
VOICED = 0.5  # lowest periodicity of voiced frames


def blind_statistics(audio: AudioCache, ids: Sequence[str], progress: bool = True) -> pd.DataFrame:
    """Measure recordings.

    Args:
        audio: decoded corpus.
        ids: recordings.
        progress: show a progress bar.

    Returns:
        float64, one row per recording (index `id`), one column per statistic, all finite. Container metadata (sampling
        rate, channels, format, sample type) are 0/1 columns, one per value, such as `source_format=FLAC`.
    """
    rows = [
        waveform_statistics(audio.waveform(utterance_id))
        for utterance_id in tqdm(ids, desc="Blind statistics", unit="clip", disable=not progress)
    ]
    index = pd.Index(list(ids), name="id")
    table = pd.DataFrame(rows, index=index, dtype=np.float64)
    metadata = audio.index.loc[index, list(CONTAINER_COLUMNS)].astype(str)
    container = pd.get_dummies(metadata, prefix_sep="=", dtype=np.float64)
    table.insert(0, "duration_s", audio.index.loc[index, "duration"].to_numpy(np.float64))
    return pd.concat([table, container.set_axis(index)], axis=1)


def waveform_statistics(waveform: np.ndarray) -> dict[str, float]:
    """Measure one mono 16 kHz recording, (samples,) float32."""
    waveform = np.asarray(waveform, np.float32)
    frames = measure_frames(waveform)
    envelope = _decibels(frames.power)  # (frames,) dB
    return {
        **_level(waveform),
        **_quantisation(waveform),
        **_noise_and_silence(envelope),
        **_room(frames, envelope),
        **_spectrum(frames),
        **_bands(frames),
        **_cepstra(frames),
        **_pitch(frames),
    }


def _decibels(power: np.ndarray | float) -> np.ndarray:
    return 10 * np.log10(np.asarray(power, np.float64) + FLOOR)


def _level(waveform: np.ndarray) -> dict[str, float]:
    dc = float(waveform.mean(dtype=np.float64))
    magnitude = np.abs(waveform)
    power, peak = float(np.square(waveform, dtype=np.float64).mean()), float(magnitude.max())
    variance = max(power - dc**2, FLOOR)
    centred = waveform - np.float32(dc)
    squares = centred * centred
    fourth = float(np.dot(squares, squares)) / len(waveform)
    return {
        "rms_dbfs": float(_decibels(power)),
        "peak_dbfs": float(_decibels(peak**2)),
        "crest_db": float(_decibels(peak**2) - _decibels(power)),
        "dc": dc,
        "dc_db": float(_decibels(dc**2)),
        "clipped_fraction": float((magnitude >= 0.999).mean()),
        "at_peak_fraction": float((magnitude >= peak).mean()),  # flat tops, even if attenuated later
        "log_kurtosis": float(np.log1p(fourth / variance**2)),  # reduced by reverberation and noise
    }


def _quantisation(waveform: np.ndarray) -> dict[str, float]:
    """Measure the use of 16-bit values.

    Lower bit depths leave zero bits, μ-law leaves gaps.
    """
    values = np.rint(waveform * 32768).astype(np.int16)
    magnitudes = np.abs(values.astype(np.int32))
    seen = np.zeros(int(magnitudes.max()) + 1, bool)
    seen[magnitudes] = True
    nonzero = np.flatnonzero(values)
    first, last = (nonzero[0], nonzero[-1]) if len(nonzero) else (len(values), -1)
    return {
        "multiple_of_2": float((values & 1 == 0).mean()),
        "multiple_of_16": float((values & 15 == 0).mean()),
        "multiple_of_256": float((values & 255 == 0).mean()),
        "distinct_values": float(np.log(seen.sum() / min(len(values), len(seen)))),
        "zero_fraction": 1 - len(nonzero) / len(values),
        "digital_silence_start_s": float(first) / SAMPLE_RATE,
        "digital_silence_end_s": float(len(values) - 1 - last) / SAMPLE_RATE,
    }


def _noise_and_silence(envelope: np.ndarray) -> dict[str, float]:
    """Measure quiet and loud frames, and silence around speech."""
    floor, middle, loud = np.percentile(envelope, (10, 50, 95))
    speech = np.flatnonzero(envelope >= (floor + loud) / 2)  # never empty: contains the loudest frame
    return {
        "noise_floor_dbfs": float(floor),
        "quietest_frame_dbfs": float(envelope.min()),
        "loud_frames_dbfs": float(loud),
        "snr_db": float(loud - floor),
        "median_above_floor_db": float(middle - floor),
        "silence_start_s": float(speech[0]) * HOP / SAMPLE_RATE,
        "silence_end_s": float(len(envelope) - 1 - speech[-1]) * HOP / SAMPLE_RATE,
        "speech_fraction": len(speech) / len(envelope),
        "start_level_db": float(envelope[:3].mean() - loud),
        "end_level_db": float(envelope[-3:].mean() - loud),
    }


def _room(frames: Frames, envelope: np.ndarray) -> dict[str, float]:
    """Measure reverberation: onsets, decays and spectral ripple."""
    bins = np.searchsorted(bin_frequencies(), ROOM_BANDS)
    levels = _decibels(np.add.reduceat(frames.spectrum, bins, axis=1))[:, :-1]  # (frames, 3)
    steps = np.diff(levels, axis=0, prepend=levels[:1])  # dB per frame
    fastest_fall, fastest_rise = np.percentile(steps, (3, 97), axis=0)
    fine = np.log(frames.spectrum + np.float32(FLOOR / FFT))  # (frames, bins)
    long_term = np.log(frames.spectrum.mean(axis=0) + np.float32(FLOOR / FFT))
    smooth = np.convolve(long_term, np.full(15, 1 / 15), mode="valid")
    centred = envelope - envelope.mean()
    correlations = [float(centred[lag:] @ centred[:-lag]) for lag in ENVELOPE_LAGS]
    return {
        **{f"fall_{name}_db": float(-value) for name, value in zip(ROOM_NAMES, fastest_fall, strict=True)},
        **{f"rise_{name}_db": float(value) for name, value in zip(ROOM_NAMES, fastest_rise, strict=True)},
        "ripple_over_frequency": float(np.abs(np.diff(fine, axis=1)).mean()),
        "ripple_over_time": float(np.abs(np.diff(fine, axis=0, prepend=fine[:1])).mean()),
        "ripple_long_term": float((long_term[7:-7] - smooth).std()),
        "envelope_std_db": float(envelope.std()),
        **{
            f"envelope_correlation_{lag * 10}ms": correlation / (float(centred @ centred) + 1e-3)
            for lag, correlation in zip(ENVELOPE_LAGS, correlations, strict=True)
        },
    }


def _spectrum(frames: Frames) -> dict[str, float]:
    """Measure the mean spectrum.

    Its top is empty for low-rate sources and narrow-band codecs.
    """
    frequencies = bin_frequencies()
    mean = frames.spectrum.mean(axis=0, dtype=np.float64) + FLOOR / len(frequencies)
    share = mean / mean.sum()
    centroid = float(share @ frequencies)
    reached = np.minimum(np.searchsorted(np.cumsum(share), (0.95, 0.999)), len(frequencies) - 1)
    return {
        "centroid_hz": centroid,
        "bandwidth_hz": float(np.sqrt(share @ (frequencies - centroid) ** 2)),
        "rolloff_95_hz": float(frequencies[reached[0]]),
        "rolloff_999_hz": float(frequencies[reached[1]]),
        "tilt_db_per_khz": float(np.polyfit(frequencies / 1000, _decibels(mean), 1)[0]),
        "above_4khz_db": float(_decibels(share[frequencies >= 4000].sum())),
        "above_7khz_db": float(_decibels(share[frequencies >= 7000].sum())),
    }


def _bands(frames: Frames) -> dict[str, float]:
    """Measure relative band levels, and emptiness of high bands."""
    starts = np.searchsorted(bin_frequencies(), BAND_EDGES[:-1])
    levels = _decibels(np.add.reduceat(frames.spectrum, starts, axis=1))  # (frames, bands)
    means = levels.mean(axis=0)
    relative = means - _decibels(frames.power).mean()
    emptiest = np.percentile(levels[:, -N_HIGH_BANDS:], 5, axis=0) - means[-N_HIGH_BANDS:]
    names = [f"{low}_{high}hz_db" for low, high in pairwise(BAND_EDGES)]
    return {
        **{f"band_{name}": float(value) for name, value in zip(names, relative, strict=True)},
        **{f"emptiest_{name}": float(value) for name, value in zip(names[-N_HIGH_BANDS:], emptiest, strict=True)},
    }


def _cepstra(frames: Frames) -> dict[str, float]:
    """Measure means and standard deviations of the MFCC.

    The zeroth, which is the level, is omitted.
    """
    mean, deviation = frames.cepstra.mean(axis=0), frames.cepstra.std(axis=0)
    result = {f"mfcc{i}_mean": float(mean[i]) for i in range(1, CEPSTRA)}
    return result | {f"mfcc{i}_std": float(deviation[i]) for i in range(1, CEPSTRA)}


def _pitch(frames: Frames) -> dict[str, float]:
    """Measure the pitch of the more periodic half of frames.

    It is defined even if no frame is voiced.
    """
    periodic = frames.periodicity >= np.median(frames.periodicity)
    low, middle, high = np.percentile(np.log2(frames.pitch[periodic]), (25, 50, 75))
    return {
        "pitch_median_octave": float(middle),
        "pitch_iqr_octave": float(high - low),
        "voiced_fraction": float((frames.periodicity >= VOICED).mean()),
        "periodicity_mean": float(frames.periodicity.mean()),
    }
