"""Sounds that replace hidden spans of the waveform.

They serve encoders whose mask the caller may not set.

A pretext head is trained on frames that the training mask hides. The closer a filling comes to that mask, the more of
the pretext task remains visible in the encoder's outputs. Log-mel models mask frames by their mean: a steady tone
whose spectrum is the mean of the rest comes close. Other models mask frames by a learned vector, which perhaps no
sound reproduces; for them, a steady tone is a guess.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import FRAME, HOP, POWER_FLOOR, SAMPLE_RATE, LogMel, padding_mask
from lightning_mia.signals.inputs.random_masks import utterance_generator
from lightning_mia.utilities.ranges import Decibels, Range, check_ranges

N_BANDS = 80  # mel bands of the spectrum to match
N_STEPS = 60  # iterations of the fit of harmonics to bands


@dataclass(frozen=True)
class Filling(ABC):
    """Base class of fillings; subclasses are frozen dataclasses.

    A filling may depend on the visible part of the recording, but not on the hidden one.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the ranges of the fields' types."""
        check_ranges(type(self), vars(self), f"{type(self).__name__}.")

    @abstractmethod
    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Synthesise sounds as long as the recordings.

        Their samples in the hidden spans replace the waveform.

        Args:
            ids: utterances.
            waveforms: (batch, samples) float32, zero where hidden and on padding.
            spectrum: (batch, 80) float32, mean log-mel frame of the visible part.
            draw: number of the draw, for random sounds.
            seed: seed of the probe.

        Returns:
            (batch, samples) float32.
        """


@dataclass(frozen=True)
class Silence(Filling):
    """Digital silence.

    Example:
        >>> Silence().sound(["a"], torch.ones(1, 4), torch.zeros(1, 80), draw=0, seed=0).tolist()
        [[0.0, 0.0, 0.0, 0.0]]
    """

    name = "silence"

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Return zeros."""
        return torch.zeros_like(waveforms)


@dataclass(frozen=True)
class SteadyTone(Filling):
    """Periodic sound with the recording's mean log-mel frame.

    A period that divides the hop of a front end gives *identical* frames: 10 ms suits hops of 10 and of 20 ms.
    Neighbouring harmonics are 90° apart in the middle of every frame, so that their powers add up and the fit has no
    cross terms.

    Args:
        period: period (samples); the harmonics are 16000 / period Hz apart.
        gain: level above the mean (dB).

    Example:
        >>> tone = SteadyTone(period=160).sound(["a"], torch.zeros(1, 480), torch.zeros(1, 80), draw=0, seed=0)
        >>> torch.equal(tone[:, :160], tone[:, 160:320])
        True
    """

    name = "steady_tone"

    period: Annotated[int, Range(4, 16_000)] = HOP
    gain: Decibels = 0.0

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Add harmonics of fitted powers."""
        basis, tones = _harmonics(self.period)
        powers = fit_powers(spectrum + self.gain * np.log(10) / 10, basis.to(spectrum.device))  # (batch, harmonics)
        one_period = powers.sqrt() @ tones.to(spectrum.device)  # (batch, period)
        repeats = -(-waveforms.shape[1] // self.period)
        return one_period.float().repeat(1, repeats)[:, : waveforms.shape[1]]


@dataclass(frozen=True)
class ShapedNoise(Filling):
    """Noise with the mean spectrum of the visible recording.

    Every draw has other noise.

    Args:
        gain: level above the mean (dB).

    Example:
        >>> sounds = [
        ...     ShapedNoise().sound(["a"], torch.zeros(1, 480), torch.zeros(1, 80), draw, seed=0) for draw in (0, 1)
        ... ]
        >>> torch.equal(*sounds)
        False
    """

    name = "shaped_noise"

    gain: Decibels = 0.0

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Shape one second of white noise, and repeat it."""
        phasors = torch.zeros(len(ids), SAMPLE_RATE // 2 + 1, dtype=torch.complex128)  # one per Hz, variance 2
        for row, name in zip(phasors, ids, strict=True):
            parts = utterance_generator(name, draw, seed, "filling/").standard_normal((len(row), 2))
            row[:] = torch.view_as_complex(torch.from_numpy(parts))
        to_hertz, area = (table.to(spectrum.device) for table in _bands_to_hertz())
        level = spectrum.double() - area + self.gain * np.log(10) / 10  # (batch, 80), log power of one frequency
        shaped = torch.fft.irfft(phasors.to(level.device) * (level @ to_hertz / 2).exp(), n=SAMPLE_RATE)
        shaped *= (SAMPLE_RATE / 2 / _window_power()) ** 0.5  # the power of a frame of unit noise is Σ window²
        repeats = -(-waveforms.shape[1] // SAMPLE_RATE)
        return shaped.float().repeat(1, repeats)[:, : waveforms.shape[1]]


def hide(batch: Batch, masks: Tensor, stride: int, field: int, filling: Filling, draw: int, seed: int) -> Tensor:
    """Replace the samples of hidden frames by a filling.

    Args:
        batch: recordings.
        masks: (batch, frames) bool, hidden frames of the encoder.
        stride: hop between frames (samples).
        field: receptive field of a frame (samples).
        filling: the replacement sound.
        draw: number of the draw.
        seed: seed of the probe.

    Returns:
        (batch, samples) float32, zero on padding.
    """
    samples = batch.waveforms.shape[1]
    hidden = hidden_samples(masks, stride, field, samples)
    padding = padding_mask(batch.lengths, samples)
    spectrum = mean_spectrum(batch.waveforms, batch.lengths, hidden)
    rest = batch.waveforms.masked_fill(hidden, 0.0)
    sound = filling.sound(batch.ids, rest, spectrum, draw, seed)
    return torch.where(hidden, sound, rest).masked_fill(padding, 0.0)


def fit_powers(spectrum: Tensor, basis: Tensor) -> Tensor:
    """Fit powers of sources to a spectrum.

    Multiplicative updates minimise the Itakura-Saito divergence (Févotte, Bertin and Durrieu 2009, eq. 3.4), with the
    exponent 1/2, which makes every step a descent.

    Args:
        spectrum: (batch, bands), natural logarithm of the power.
        basis: (sources, bands) float64, power of each source at unit power.

    Returns:
        (batch, sources) float64.
    """
    target = spectrum.double().exp()
    bands = basis.sum(dim=0) > 1e-9 * basis.sum(dim=0).max()  # the lowest filters may contain no frequency bin
    basis, target = basis[:, bands], target[:, bands]
    powers = target.mean(dim=1, keepdim=True) / basis.mean() / len(basis) * torch.ones_like(basis[:, 0])
    for _ in range(N_STEPS):
        fitted = powers @ basis + POWER_FLOOR
        powers = powers * ((target / fitted.square() @ basis.T) / (1 / fitted @ basis.T)).sqrt()
    return powers


def hidden_samples(masks: Tensor, stride: int, field: int, samples: int) -> Tensor:
    """Mark samples in the receptive fields of hidden frames.

    Returns (batch, samples) bool.

    >>> hidden_samples(torch.tensor([[False, True, True, False]]), stride=2, field=3, samples=9)[0].int().tolist()
    [0, 0, 1, 1, 1, 1, 1, 0, 0]
    """
    starts = torch.arange(masks.shape[1], device=masks.device) * stride
    edges = torch.zeros(len(masks), samples + 1, dtype=torch.int32, device=masks.device)
    edges.index_add_(1, starts.clamp(max=samples), masks.int())
    edges.index_add_(1, (starts + field).clamp(max=samples), -masks.int())
    return edges.cumsum(dim=1)[:, :samples] > 0


def mean_spectrum(waveforms: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
    """Average the visible log-mel frames, (batch, 80).

    All frames are averaged if none is visible.
    """
    log_mel = LogMel(N_BANDS).to(waveforms.device)
    frames = log_mel(waveforms)  # (batch, frames of 10 ms, 80)
    real = ~padding_mask(log_mel.frame_lengths(lengths), frames.shape[1])
    visible = real & ~hidden.unfold(1, FRAME, HOP).any(dim=2)[:, : frames.shape[1]]
    weights = torch.where(visible.any(dim=1, keepdim=True), visible, real).unsqueeze(2)
    total = frames.masked_fill(~weights, 0.0).sum(dim=1, dtype=torch.float64)
    return (total / weights.sum(dim=1)).float()


@cache
def _harmonics(period: int) -> tuple[Tensor, Tensor]:
    """Compute mel powers and one period of each harmonic.

    Shapes: (harmonics, 80) and (harmonics, period), float64.
    """
    count = (period - 1) // 2
    numbers = torch.arange(1, count + 1, dtype=torch.float64)
    middle = (FRAME - 1) / 2  # of every frame, where the phases are 90° apart
    phases = numbers * np.pi / 2
    time = torch.arange(FRAME, dtype=torch.float64)
    angles = 2 * np.pi * numbers.unsqueeze(1) / period
    window = torch.hann_window(FRAME, dtype=torch.float64)
    spectrum = torch.fft.rfft(torch.cos(angles * (time - middle) + phases.unsqueeze(1)) * window)  # (harmonics, 201)
    filters = melscale_fbanks(FRAME // 2 + 1, 20.0, SAMPLE_RATE / 2, N_BANDS, SAMPLE_RATE).double()
    one_period = torch.cos(angles * (torch.arange(period, dtype=torch.float64) - middle) + phases.unsqueeze(1))
    return spectrum.abs().square() @ filters, one_period


@cache
def _bands_to_hertz() -> tuple[Tensor, Tensor]:
    """Compute the interpolation from bands to hertz, and filter areas.

    The matrix (80, 8001) takes log powers of bands to 0 Hz, 1 Hz, …; the log areas are (80,). Both are float64.
    """
    filters = melscale_fbanks(FRAME // 2 + 1, 20.0, SAMPLE_RATE / 2, N_BANDS, SAMPLE_RATE).double()  # (201, 80)
    area = filters.sum(dim=0)
    used = np.flatnonzero(area.numpy() > 0)  # the lowest filters may contain no frequency bin
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, FRAME // 2 + 1, dtype=torch.float64)
    centres = (frequencies @ filters[:, used] / area[used]).numpy()
    hertz = np.arange(SAMPLE_RATE // 2 + 1)
    interpolation = np.zeros((N_BANDS, len(hertz)))
    for row, band in enumerate(used):
        interpolation[band] = np.interp(hertz, centres, np.eye(len(centres))[row])
    return torch.from_numpy(interpolation), area.clamp(min=1e-9).log()


@cache
def _window_power() -> float:
    return float(torch.hann_window(FRAME, dtype=torch.float64).square().sum())
