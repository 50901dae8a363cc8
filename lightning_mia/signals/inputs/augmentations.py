"""Views of a recording: changes to the waveform after which the words and the voice are the same.

What is drawn depends on the utterance's id, the view, the draw and the seed alone, so that every model hears the same.
Views are made on the CPU: the samples are the same whatever the model runs on.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.signals.inputs.random_masks import generator_of

CENTISECOND = SAMPLE_RATE // 100  # samples
MIN_SECONDS = 10 * CENTISECOND  # the shortest clip that a model takes


class View(ABC):
    """A change to a waveform. A subclass is a frozen dataclass whose fields say how much is changed."""

    name: ClassVar[str]
    keeps_time: ClassVar[bool] = True  # whether every frame is still where it was
    reverses: ClassVar[bool] = False  # whether the last frame has become the first

    @abstractmethod
    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change one recording, (samples,) float32 → (samples or fewer,) float32."""


@dataclass(frozen=True)
class WhiteNoise(View):
    """White noise.

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
    """Louder or softer.

    Args:
        most: the change is at most so large, and at least half of it, up or down (dB).
    """

    name = "gain"

    most: float = 6.0

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Scale."""
        change = rng.uniform(self.most / 2, self.most) * rng.choice([-1, 1])
        return waveform * np.float32(10 ** (change / 20))


@dataclass(frozen=True)
class TimeCrop(View):
    """A part of the recording.

    Args:
        kept: share that is kept; at least 0.1 s.
    """

    name = "crop"
    keeps_time = False

    kept: float = 0.8

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Cut out."""
        return cropped(waveform, self.kept, rng)


@dataclass(frozen=True)
class TimeShift(View):
    """Turned round by less than a frame; what falls off the end comes first.

    Args:
        most: the shift is at most so long, and at least a third of it (seconds).
    """

    name = "shift"

    most: float = 0.0075

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Turn round."""
        return np.roll(waveform, round(rng.uniform(self.most / 3, self.most) * SAMPLE_RATE))


@dataclass(frozen=True)
class BandStop(View):
    """A band of frequencies left out, somewhere between 150 Hz and 6 kHz.

    Args:
        octaves: width of the band, at most 5.
    """

    name = "band"

    octaves: float = 1.0

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Filter."""
        low = 150 * 2 ** rng.uniform(0, np.log2(6000 / 150) - self.octaves)
        spectrum = np.fft.rfft(waveform)
        frequencies = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
        spectrum[(frequencies >= low) & (frequencies < low * 2**self.octaves)] = 0
        return np.fft.irfft(spectrum, len(waveform)).astype(np.float32)


@dataclass(frozen=True)
class Reversed(View):
    """Played backwards."""

    name = "reversed"
    reverses = True

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Turn back to front."""
        return waveform[::-1].copy()


@dataclass(frozen=True)
class Mixed(View):
    """A crop, a gain, often a band left out, and noise: what an augmentation for contrastive learning would do.

    Args:
        least_kept: share of the recording that is kept, at least.
        snr: of the noise, from (dB) to (dB).
    """

    name = "mixed"
    keeps_time = False

    least_kept: float = 0.6
    snr: tuple[float, float] = (10.0, 30.0)

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Cut, filter, add noise and scale."""
        waveform = cropped(waveform, rng.uniform(self.least_kept, 1.0), rng)
        if rng.random() < 0.5:
            waveform = BandStop()(waveform, rng)
        return Gain()(WhiteNoise(rng.uniform(*self.snr))(waveform, rng), rng)


def cropped(waveform: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A stretch of the recording, evenly drawn, of about `share` of its samples, or of 0.1 s if that is more.

    Its length is a whole number of centiseconds, or a Fourier transform of it could take ten times as long.

    >>> len(cropped(np.zeros(16000, np.float32), 0.333, np.random.default_rng(0)))
    5280
    """
    length = min(len(waveform), max(round(share * len(waveform) / CENTISECOND) * CENTISECOND, MIN_SECONDS))
    start = int(rng.integers(len(waveform) - length + 1))
    return waveform[start : start + length]


def viewed(batch: Batch, view: View, draw: int, seed: int) -> Batch:
    """A batch as a view shows it, on the same device.

    Args:
        batch: recordings.
        view: what is done to them.
        draw: number of the draw, 0, 1, ….
        seed: of the probe.
    """
    samples, texts = batch.waveforms.cpu().numpy(), batch.texts or ("",) * len(batch.ids)
    changed = [
        (name, view(row[:length], generator_of(name, draw, seed, f"view/{view.name}/")), text)
        for name, row, length, text in zip(batch.ids, samples, batch.lengths.tolist(), texts, strict=True)
    ]
    made = collate(changed)
    device = batch.waveforms.device
    return Batch(batch.ids, made.waveforms.to(device), made.lengths.to(device), batch.texts)


def backwards(hidden: Tensor, lengths: Tensor) -> Tensor:
    """Turn the real frames of every utterance round; (batch, frames, dim) → the same."""
    places = lengths.unsqueeze(1) - 1 - torch.arange(hidden.shape[1], device=hidden.device)  # (batch, frames)
    return hidden.gather(1, places.clamp(min=0).unsqueeze(2).expand_as(hidden))
