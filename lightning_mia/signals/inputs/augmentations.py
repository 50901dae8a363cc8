"""Augmented views of a recording.

Random numbers depend on the recording's id, the view, the draw and the seed alone, so that every model gets the same
samples. Views are computed on the CPU, so that the samples do not depend on the model's device.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.signals.inputs.random_masks import utterance_generator

CENTISECOND = SAMPLE_RATE // 100  # samples
MIN_SAMPLES = 10 * CENTISECOND  # 0.1 s, the shortest recording that models accept


class View(ABC):
    """Base class of views; subclasses are frozen dataclasses."""

    name: ClassVar[str]
    keeps_time: ClassVar[bool] = True  # whether every frame stays in place (after undoing a reversal)
    reverses: ClassVar[bool] = False  # whether the order of the frames is reversed

    @abstractmethod
    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Transform one recording, (samples,) float32 → (samples or fewer,) float32."""


@dataclass(frozen=True)
class WhiteNoise(View):
    """Recording with added white noise.

    Args:
        snr: signal-to-noise ratio (dB).
    """

    name = "noise"

    snr: float = 20.0

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Add noise."""
        noise = rng.standard_normal(len(waveform), dtype=np.float32)
        power = np.square(waveform, dtype=np.float64).mean()
        return waveform + np.float32(np.sqrt(power) * 10 ** (-self.snr / 20)) * noise


@dataclass(frozen=True)
class Gain(View):
    """Change of level.

    Args:
        max_change: maximum change, up or down (dB); the minimum is half of it.
    """

    name = "gain"

    max_change: float = 6.0

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Scale the waveform."""
        change = rng.uniform(self.max_change / 2, self.max_change) * rng.choice([-1, 1])
        return waveform * np.float32(10 ** (change / 20))


@dataclass(frozen=True)
class TimeCrop(View):
    """Random crop.

    Args:
        kept: share of the recording that is kept; at least 0.1 s.
    """

    name = "crop"
    keeps_time = False

    kept: float = 0.8

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Crop at a random position."""
        return random_crop(waveform, self.kept, rng)


@dataclass(frozen=True)
class TimeShift(View):
    """Circular shift by less than a frame.

    Args:
        max_shift: maximum shift (seconds); the minimum is a third of it.
    """

    name = "shift"

    max_shift: float = 0.0075

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Roll the waveform."""
        return np.roll(waveform, round(rng.uniform(self.max_shift / 3, self.max_shift) * SAMPLE_RATE))


@dataclass(frozen=True)
class BandStop(View):
    """Band-stop filter at a random frequency (150 Hz–6 kHz).

    Args:
        octaves: width of the band (octaves), at most 5.
    """

    name = "band"

    octaves: float = 1.0

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Zero the band in the spectrum."""
        low = 150 * 2 ** rng.uniform(0, np.log2(6000 / 150) - self.octaves)
        spectrum = np.fft.rfft(waveform)
        frequencies = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
        spectrum[(frequencies >= low) & (frequencies < low * 2**self.octaves)] = 0
        return np.fft.irfft(spectrum, len(waveform)).astype(np.float32)


@dataclass(frozen=True)
class Reversed(View):
    """Time-reversed recording."""

    name = "reversed"
    reverses = True

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Reverse the samples."""
        return waveform[::-1].copy()


@dataclass(frozen=True)
class Mixed(View):
    """Crop, filter, noise and gain, as in contrastive learning.

    The band-stop filter is applied with probability 1/2.

    Args:
        min_kept: minimum share of the recording that is kept.
        snr: range of the signal-to-noise ratio (dB).
    """

    name = "mixed"
    keeps_time = False

    min_kept: float = 0.6
    snr: tuple[float, float] = (10.0, 30.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Crop, filter, add noise and scale."""
        waveform = random_crop(waveform, rng.uniform(self.min_kept, 1.0), rng)
        if rng.random() < 0.5:
            waveform = BandStop()(waveform, rng)
        return Gain()(WhiteNoise(rng.uniform(*self.snr))(waveform, rng), rng)


def random_crop(waveform: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Crop at a uniformly drawn position.

    The crop has about `share` of the recording, and at least 0.1 s. Its length is a whole number of centiseconds: a
    Fourier transform of other lengths can take ten times as long.

    >>> len(random_crop(np.zeros(16000, np.float32), 0.333, np.random.default_rng(0)))
    5280
    """
    length = min(len(waveform), max(round(share * len(waveform) / CENTISECOND) * CENTISECOND, MIN_SAMPLES))
    start = int(rng.integers(len(waveform) - length + 1))
    return waveform[start : start + length]


def apply_view(batch: Batch, view: View, draw: int, seed: int) -> Batch:
    """Apply a view to a batch; keep the batch's device.

    Args:
        batch: recordings.
        view: transformation of each recording.
        draw: number of the draw, 0, 1, ….
        seed: seed of the probe.
    """
    samples, texts = batch.waveforms.cpu().numpy(), batch.texts or ("",) * len(batch.ids)
    changed = [
        (name, view(row[:length], utterance_generator(name, draw, seed, f"view/{view.name}/")), text)
        for name, row, length, text in zip(batch.ids, samples, batch.lengths.tolist(), texts, strict=True)
    ]
    collated = collate(changed)
    device = batch.waveforms.device
    return Batch(batch.ids, collated.waveforms.to(device), collated.lengths.to(device), batch.texts)


def reverse_frames(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the real frames of every recording.

    Shape: (batch, frames, dim).
    """
    positions = lengths.unsqueeze(1) - 1 - torch.arange(hidden.shape[1], device=hidden.device)  # (batch, frames)
    return hidden.gather(1, positions.clamp(min=0).unsqueeze(2).expand_as(hidden))
