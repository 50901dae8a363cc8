"""Fillings: what is played where a waveform is hidden from a model that takes no mask.

A pretext head learned its task where the encoder saw its training mask. The better a filling passes for that mask, the
more of the task is left to be seen in the encoder's outputs. Log-mel models hide frames by their mean: a steady tone
whose spectrum is the mean of the rest comes close. Others hide frames by a vector of their own, which no sound need
give: there the steadiest sound is a guess.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import FRAME, HOP, POWER_FLOOR, SAMPLE_RATE, LogMel, padding_mask
from lightning_mia.signals.inputs.random_masks import generator_of

N_BANDS = 80  # of the spectrum that a sound is shaped to
STEPS = 60  # of the fit of harmonics to bands


@dataclass(frozen=True)
class Filling(ABC):
    """A sound to be played inside the hidden spans. A subclass is a frozen dataclass.

    It may depend on what is left of the recording, but not on what is hidden.
    """

    name: ClassVar[str]

    @abstractmethod
    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Sounds of the length of the recordings, of which the spans are cut.

        Args:
            ids: utterances.
            waveforms: (batch, samples) float32, zero where hidden and on padding.
            spectrum: (batch, 80) float32, mean log-mel frame of what is not hidden.
            draw: number of the draw, for what is random.
            seed: of the probe.

        Returns:
            (batch, samples) float32.
        """


@dataclass(frozen=True)
class Silence(Filling):
    """Digital silence."""

    name = "silence"

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Zeros."""
        return torch.zeros_like(waveforms)


@dataclass(frozen=True)
class SteadyTone(Filling):
    """A periodic waveform whose every log-mel frame is the mean frame of the rest of the recording.

    A period that divides the hop of a front end gives it *identical* frames: 10 ms suits hops of 10 and of 20 ms.
    Neighbouring harmonics are a quarter turn apart in the middle of every frame, so that their powers add up and the
    fit has no cross terms.

    Args:
        period: samples; its harmonics lie 16000 / period Hz apart.
        gain: louder than the mean by (dB).
    """

    name = "steady_tone"

    period: int = HOP
    gain: float = 0.0

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Add up harmonics."""
        basis, tones = _harmonics(self.period)
        powers = fit_powers(spectrum + self.gain * np.log(10) / 10, basis.to(spectrum.device))  # (batch, harmonics)
        one_period = powers.sqrt() @ tones.to(spectrum.device)  # (batch, period)
        repeats = -(-waveforms.shape[1] // self.period)
        return one_period.float().repeat(1, repeats)[:, : waveforms.shape[1]]


@cache
def _harmonics(period: int) -> tuple[Tensor, Tensor]:
    """Mel power of a sine at each harmonic (harmonics, 80), and one period of it (harmonics, period); float64."""
    count = (period - 1) // 2
    numbers = torch.arange(1, count + 1, dtype=torch.float64)
    middle = (FRAME - 1) / 2  # of every frame, where the phases are a quarter turn apart
    phases = numbers * np.pi / 2
    time = torch.arange(FRAME, dtype=torch.float64)
    turns = 2 * np.pi * numbers.unsqueeze(1) / period
    window = torch.hann_window(FRAME, dtype=torch.float64)
    spectrum = torch.fft.rfft(torch.cos(turns * (time - middle) + phases.unsqueeze(1)) * window)  # (harmonics, 201)
    filters = melscale_fbanks(FRAME // 2 + 1, 20.0, SAMPLE_RATE / 2, N_BANDS, SAMPLE_RATE).double()
    one_period = torch.cos(turns * (torch.arange(period, dtype=torch.float64) - middle) + phases.unsqueeze(1))
    return spectrum.abs().square() @ filters, one_period


def fit_powers(spectrum: Tensor, basis: Tensor) -> Tensor:
    """Powers of sources that together have a given spectrum, by multiplicative updates of the Itakura-Saito distance.

    Févotte, Bertin and Durrieu (2009), eq. 3.4, with the exponent 1/2 that makes every step a descent.

    Args:
        spectrum: (batch, bands), natural logarithm of the power.
        basis: (sources, bands) float64, power of each source at unit power.

    Returns:
        (batch, sources) float64.
    """
    wanted = spectrum.double().exp()
    bands = basis.sum(dim=0) > 1e-9 * basis.sum(dim=0).max()  # the lowest filters may hold no frequency at all
    basis, wanted = basis[:, bands], wanted[:, bands]
    powers = wanted.mean(dim=1, keepdim=True) / basis.mean() / len(basis) * torch.ones_like(basis[:, 0])
    for _ in range(STEPS):
        heard = powers @ basis + POWER_FLOOR
        powers = powers * ((wanted / heard.square() @ basis.T) / (1 / heard @ basis.T)).sqrt()
    return powers


@dataclass(frozen=True)
class ShapedNoise(Filling):
    """Noise with the mean spectrum of the rest of the recording, another one each draw.

    Args:
        gain: louder than the mean by (dB).
    """

    name = "shaped_noise"

    gain: float = 0.0

    def sound(self, ids: Sequence[str], waveforms: Tensor, spectrum: Tensor, draw: int, seed: int) -> Tensor:
        """Give white noise of one second, in repetition, the spectrum."""
        turns = torch.zeros(len(ids), SAMPLE_RATE // 2 + 1, dtype=torch.complex128)  # one a Hz, variance 2
        for row, name in zip(turns, ids, strict=True):
            parts = generator_of(name, draw, seed, "filling/").standard_normal((len(row), 2))
            row[:] = torch.view_as_complex(torch.from_numpy(parts))
        to_hertz, area = (one.to(spectrum.device) for one in _bands_to_hertz())
        level = spectrum.double() - area + self.gain * np.log(10) / 10  # (batch, 80), log power of one frequency
        shaped = torch.fft.irfft(turns.to(level.device) * (level @ to_hertz / 2).exp(), n=SAMPLE_RATE)
        shaped *= (SAMPLE_RATE / 2 / _window_power()) ** 0.5  # a frame of unit noise has the power Σ window²
        repeats = -(-waveforms.shape[1] // SAMPLE_RATE)
        return shaped.float().repeat(1, repeats)[:, : waveforms.shape[1]]


@cache
def _bands_to_hertz() -> tuple[Tensor, Tensor]:
    """Log power of bands → log power at 0 Hz, 1 Hz, …, (80, 8001); and the log area of each filter (80,); float64."""
    filters = melscale_fbanks(FRAME // 2 + 1, 20.0, SAMPLE_RATE / 2, N_BANDS, SAMPLE_RATE).double()  # (201, 80)
    area = filters.sum(dim=0)
    used = np.flatnonzero(area.numpy() > 0)  # the lowest filters may hold no frequency at all
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, FRAME // 2 + 1, dtype=torch.float64)
    centres = (frequencies @ filters[:, used] / area[used]).numpy()
    hertz = np.arange(SAMPLE_RATE // 2 + 1)
    lines = np.zeros((N_BANDS, len(hertz)))
    for row, band in enumerate(used):
        lines[band] = np.interp(hertz, centres, np.eye(len(centres))[row])
    return torch.from_numpy(lines), area.clamp(min=1e-9).log()


@cache
def _window_power() -> float:
    return float(torch.hann_window(FRAME, dtype=torch.float64).square().sum())


def hide(batch: Batch, masks: Tensor, stride: int, field: int, filling: Filling, draw: int, seed: int) -> Tensor:
    """Play a filling wherever a hidden frame listens.

    Args:
        batch: recordings.
        masks: (batch, frames) bool, hidden frames of the encoder.
        stride: samples from one frame to the next.
        field: samples that a frame is made of.
        filling: the sound.
        draw: number of the draw.
        seed: of the probe.

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


def hidden_samples(masks: Tensor, stride: int, field: int, samples: int) -> Tensor:
    """Frames (batch, frames) bool → samples (batch, samples) bool that a hidden frame is made of.

    >>> hidden_samples(torch.tensor([[False, True, True, False]]), stride=2, field=3, samples=9)[0].int().tolist()
    [0, 0, 1, 1, 1, 1, 1, 0, 0]
    """
    starts = torch.arange(masks.shape[1], device=masks.device) * stride
    edges = torch.zeros(len(masks), samples + 1, dtype=torch.int32, device=masks.device)
    edges.index_add_(1, starts.clamp(max=samples), masks.int())
    edges.index_add_(1, (starts + field).clamp(max=samples), -masks.int())
    return edges.cumsum(dim=1)[:, :samples] > 0


def mean_spectrum(waveforms: Tensor, lengths: Tensor, hidden: Tensor) -> Tensor:
    """Mean log-mel frame (batch, 80) of what is not hidden, or of everything where nothing is left."""
    log_mel = LogMel(N_BANDS).to(waveforms.device)
    frames = log_mel(waveforms)  # (batch, frames of 10 ms, 80)
    heard = ~padding_mask(log_mel.frame_lengths(lengths), frames.shape[1])
    apart = heard & ~hidden.unfold(1, FRAME, HOP).any(dim=2)[:, : frames.shape[1]]
    weights = torch.where(apart.any(dim=1, keepdim=True), apart, heard).unsqueeze(2)
    total = frames.masked_fill(~weights, 0.0).sum(dim=1, dtype=torch.float64)
    return (total / weights.sum(dim=1)).float()
