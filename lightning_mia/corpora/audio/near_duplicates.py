"""Recordings with nearly the same audio.

Found are copies that differ in gain, polarity, offset, length, sampling rate, codec or rounding; readings of the same
words are not. After Haitsma and Kalker, *A Highly Robust Audio Fingerprinting System* (ISMIR 2002): bits are signs of
differences of band energies over time and frequency. They fingerprint frames at regular steps; here, frames lie around
peaks of the energy, which a shifted copy has at the same place. This takes a few dozen frames per recording instead of
a hundred per second.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d, uniform_filter1d
from scipy.signal import correlate

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.utilities.progress_bar import tqdm

BLOCK = 16  # samples of one value of the energy: 1 ms
SMOOTHING = 25  # ms, twice
PEAK_DISTANCE = 50  # ms
N_PEAKS = 16  # of a recording, the highest

FRAME, STEP, N_FRAMES = 2048, 1024, 4  # samples; frames around a peak
BAND_EDGES = np.geomspace(300, 3400, 23)  # Hz: what a telephone transmits
N_BITS = (N_FRAMES - 1) * (len(BAND_EDGES) - 2)  # 63, of one fingerprint
WORDS = (slice(0, 16), slice(16, 32), slice(32, 48), slice(48, N_BITS))  # bits that the index looks up
MIN_POWER = 1e-5  # of a frame, relative to the recording's loudest: below are pauses, whose bits are arbitrary

MAX_DIFFERENT_BITS = 10  # of two fingerprints whose recordings are compared

# Two recordings are copies if they agree in both respects. On 4,000 keywords of 1 s, copies have error rates up to 0.17
# and correlations from 0.94 on (MP3, Vorbis, Opus, GSM, 8 kHz), repetitions by the same speaker error rates from 0.22
# and correlations up to 0.64. Correlation alone would take two tones of one pitch for copies.
MAX_ERROR_RATE = 0.25  # of the bits; Haitsma and Kalker have 0.35, for three seconds of music
MIN_CORRELATION = 0.85  # of the waveforms
MAX_LAG = 512  # samples by which the peak of the energy may have moved
N_COMPARED = 16  # places at which bits are compared
MIN_COMPARED = 4
MIN_SHARED = 0.5  # of the shorter recording
MIN_SAMPLES = int(0.3 * SAMPLE_RATE)


@dataclass(frozen=True)
class _Fingerprints:
    """Fingerprints of many recordings."""

    recordings: np.ndarray  # (fingerprints,) int
    places: np.ndarray  # (fingerprints,) int, samples
    bits: np.ndarray  # (fingerprints, N_BITS) bool


def near_duplicates(
    audio: AudioCache, first: Sequence[str], second: Sequence[str], progress: bool = True
) -> list[tuple[str, str]]:
    """Find pairs of recordings with nearly the same audio.

    Where they overlap, all is the same, and they overlap for at least 0.3 s and half of the shorter one.

    Args:
        audio: decoded corpus.
        first: ids.
        second: other ids.
        progress: show a progress bar.

    Returns:
        Pairs of an id of `first` and an id of `second`, sorted.
    """
    if not first or not second:
        return []
    ids = [*first, *second]
    bar = tqdm(ids, desc="Comparing members with non-members", leave=False, disable=not progress)
    prints = _collect(_fingerprint(audio.waveform(name)) for name in bar)
    compared: dict[tuple[int, int], bool] = {}
    for one, other in _candidates(prints.bits, prints.recordings < len(first)):
        pair = int(prints.recordings[one]), int(prints.recordings[other])
        if not compared.get(pair):
            shift = int(prints.places[other] - prints.places[one])
            compared[pair] = _are_copies(audio.waveform(ids[pair[0]]), audio.waveform(ids[pair[1]]), shift)
    return sorted((ids[one], ids[other]) for (one, other), are_copies in compared.items() if are_copies)


def _collect(fingerprints: Iterator[tuple[np.ndarray, np.ndarray]]) -> _Fingerprints:
    listed = list(fingerprints)
    lengths = [len(places) for places, _ in listed]
    return _Fingerprints(
        np.repeat(np.arange(len(listed)), lengths),
        np.concatenate([places for places, _ in listed]),
        np.concatenate([bits for _, bits in listed]),
    )


def _fingerprint(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places (samples) and bits of a recording's fingerprints."""
    peaks = _energy_peaks(waveform)
    bits, power = _bits(waveform, peaks)
    audible = power.min(axis=1, initial=np.inf) > MIN_POWER * power.max(initial=0)
    return peaks[audible], bits[audible]


def _energy_peaks(waveform: np.ndarray) -> np.ndarray:
    """Return the highest peaks of the smoothed energy (samples)."""
    blocks = waveform[: len(waveform) // BLOCK * BLOCK].reshape(-1, BLOCK)
    energy = np.einsum("ij,ij->i", blocks, blocks)
    for _ in range(2):
        energy = uniform_filter1d(energy, SMOOTHING, mode="constant")
    neighbourhood = maximum_filter1d(energy, 2 * PEAK_DISTANCE + 1, mode="constant")
    peaks = np.flatnonzero((energy == neighbourhood) & (energy > 0))
    highest = np.argsort(-energy[peaks], kind="stable")[:N_PEAKS]
    return np.sort(peaks[highest]) * BLOCK + BLOCK // 2


_OFFSETS = (np.arange(N_FRAMES) * STEP - (N_FRAMES - 1) * STEP // 2 - FRAME // 2).astype(int)
_WINDOW = np.hanning(FRAME).astype(np.float32)
_FREQUENCIES = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE)
_BINS = slice(*np.searchsorted(_FREQUENCIES, BAND_EDGES[[0, -1]]))
_BANDS = (np.searchsorted(BAND_EDGES, _FREQUENCIES[_BINS], side="right")[:, None] - 1) == np.arange(len(BAND_EDGES) - 1)


def _bits(waveform: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute fingerprints at places of a recording.

    Returns:
        Bits, (places, N_BITS) bool, and the power of the frames, (places, N_FRAMES).
    """
    margin = FRAME + N_FRAMES * STEP
    padded = np.pad(waveform, margin)
    starts = places[:, None] + _OFFSETS + margin
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[starts]  # (places, N_FRAMES, FRAME)
    spectrum = rfft(frames * _WINDOW, axis=-1)[..., _BINS]
    energies = (spectrum.real**2 + spectrum.imag**2) @ _BANDS.astype(np.float32)  # (places, N_FRAMES, bands)
    differences = np.diff(np.diff(np.log(energies + 1e-9), axis=2), axis=1)
    return differences.reshape(len(places), N_BITS) > 0, energies.sum(axis=2)


def _candidates(bits: np.ndarray, is_first: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of similar fingerprints, one of either group.

    Similar are those of which a word is the same and few of all bits differ.
    """
    packed = np.packbits(bits, axis=1)
    for word in WORDS:
        keys = bits[:, word] @ (1 << np.arange(word.stop - word.start))
        table = pd.DataFrame({"key": keys, "row": np.arange(len(keys))})
        groups = [table[is_first], table[~is_first]]
        joined = groups[0].merge(groups[1], on="key")
        one, other = joined["row_x"].to_numpy(), joined["row_y"].to_numpy()
        n_different = np.bitwise_count(packed[one] ^ packed[other]).sum(axis=1)
        similar = n_different <= MAX_DIFFERENT_BITS
        yield from zip(one[similar].tolist(), other[similar].tolist(), strict=True)


def _are_copies(one: np.ndarray, other: np.ndarray, shift: int) -> bool:
    """Compare two recordings wherever both are audible.

    Args:
        one: (samples,) float.
        other: (samples,) float.
        shift: place in `other` minus the same place in `one` (samples).
    """
    start, stop = max(0, -shift), min(len(one), len(other) - shift)
    if stop - start < max(MIN_SHARED * min(len(one), len(other)), MIN_SAMPLES):
        return False
    places = np.linspace(start, stop - 1, N_COMPARED).astype(int)
    (bits, power), (other_bits, other_power) = _bits(one, places), _bits(other, places + shift)
    audible = [values.min(axis=1) > MIN_POWER * values.max() for values in (power, other_power)]
    compared = audible[0] & audible[1]
    if compared.sum() < MIN_COMPARED or np.mean(bits[compared] != other_bits[compared]) > MAX_ERROR_RATE:
        return False
    return _correlation(one[start:stop], other[start + shift : stop + shift]) >= MIN_CORRELATION


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest absolute correlation over small lags."""
    one, other = one - one.mean(), other - other.mean()
    products = correlate(one, other, mode="full", method="fft")
    middle = len(one) - 1
    highest = np.abs(products[max(0, middle - MAX_LAG) : middle + MAX_LAG + 1]).max()
    return float(highest / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))
