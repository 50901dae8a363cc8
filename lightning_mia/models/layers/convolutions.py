"""Convolutional front end from waveform to frames."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.layers.features import normalise, padding_mask

KERNELS = (10, 3, 3, 3, 3, 2, 2)  # receptive field 400 samples
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # hop 320 samples


class WaveformFrontEnd(nn.Module):
    """Convolutions with norms and activations.

    The defaults are those of wav2vec 2.0 (Baevski et al. 2020): frames of 25 ms every 20 ms. Convolutions are not
    padded: a frame exists only if all its samples do, so that the padding of a batch has no effect.

    Args:
        channels: channels of every convolution.
        group_norm: normalise over time after the first convolution only, as in the published base models of
            wav2vec 2.0 and HuBERT; False: layer norm after each.
        kernels: samples of each convolution.
        strides: hop of each convolution, in samples of its input.
        activation: applied after each convolution and its norm.

    Example:
        >>> front_end = WaveformFrontEnd(channels=8, group_norm=False)
        >>> front_end(torch.randn(1, 16_000), torch.tensor([16_000])).shape  # 1 s
        torch.Size([1, 49, 8])
    """

    def __init__(
        self,
        channels: int,
        group_norm: bool,
        kernels: Sequence[int] = KERNELS,
        strides: Sequence[int] = STRIDES,
        activation: Callable[[Tensor], Tensor] = F.gelu,
    ) -> None:
        super().__init__()
        self.group_norm, self.activation = group_norm, activation
        self.kernels, self.strides = tuple(kernels), tuple(strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if i else 1, channels, kernel, stride, bias=not group_norm)
            for i, (kernel, stride) in enumerate(zip(kernels, strides, strict=True))
        )
        norms = [TimeNorm(channels)] if group_norm else [nn.LayerNorm(channels) for _ in kernels]
        self.norms = nn.ModuleList(norms)
        for parameter in self.convolutions.parameters():
            if parameter.dim() == 3:  # a kernel, not a bias
                nn.init.kaiming_normal_(parameter)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) zero-padded, (batch,) real samples → (batch, frames, channels)."""
        return apply_front_end(self._convolve, self._convolve, waveforms, lengths, self.frame_lengths)

    def _convolve(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        x = pad_to_grid(normalise(waveforms.unsqueeze(2), lengths))  # (batch, samples, 1)
        for i, convolution in enumerate(self.convolutions):
            x = convolve(convolution, x)  # (batch, samples, channels)
            if not self.group_norm:
                x = self.norms[i](x)
            elif i == 0:
                x = self.norms[0](x, (lengths - self.kernels[0]) // self.strides[0] + 1)
            x = self.activation(x)
        return x[:, :n_frames]

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            lengths = (lengths - kernel) // stride + 1
        return lengths


class TimeNorm(nn.Module):
    """Group norm over a recording's real samples.

    There is one channel per group. `nn.GroupNorm` includes the padding, which changes a padded recording's frames by
    tens of percent.

    Args:
        channels: number of channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples, channels) and (batch,) real samples → (batch, samples, channels) float32."""
        x = x.float()  # under autocast too
        padding = padding_mask(lengths, x.shape[1]).unsqueeze(2)
        count = lengths.view(-1, 1, 1)
        mean = x.masked_fill(padding, 0.0).sum(dim=1, keepdim=True) / count
        centred = (x - mean).masked_fill(padding, 0.0)
        variance = centred.square().sum(dim=1, keepdim=True) / count
        return centred * ((variance + 1e-5).rsqrt() * self.weight) + self.bias


def apply_front_end(
    on_batch: Callable[[Tensor, Tensor], Tensor],
    on_single: Callable[[Tensor, Tensor], Tensor],
    waveforms: Tensor,
    lengths: Tensor,
    frame_lengths: Callable[[Tensor], Tensor],
) -> Tensor:
    """Compute frames; for CPU inference, recording by recording.

    The activations of a whole batch do not fit into a CPU's cache, which costs more than the additional calls: with
    recordings of 10 s, a whole batch takes twice as long.

    Args:
        on_batch: (batch, samples), (batch,) real samples → (batch, frames, channels).
        on_single: the same for one recording without padding, (1, samples), (1,) → (1, frames, channels).
        waveforms: (batch, samples), zero-padded.
        lengths: (batch,) real samples.
        frame_lengths: samples → frames.

    Returns:
        (batch, frames, channels), zero-padded.
    """
    if waveforms.device.type != "cpu" or torch.is_grad_enabled():
        return on_batch(waveforms, lengths)
    n_frames = int(frame_lengths(torch.tensor(waveforms.shape[1])))
    rows = (
        on_single(row[:length].unsqueeze(0), torch.tensor([length]))[0]
        for row, length in zip(waveforms, lengths.tolist(), strict=True)
    )
    return torch.stack([F.pad(frames, (0, 0, 0, n_frames - len(frames))) for frames in rows])


def pad_to_grid(x: Tensor) -> Tensor:
    """Zero-pad to one of a few lengths, on a CPU.

    oneDNN compiles each convolution for every new shape, and caches a thousand of them. If nearly every batch has
    a new length, a training step of a tiny model takes twice as long, and probing it seven times as long. The caller
    cuts off the frames of the padding.
    """
    return F.pad(x, (0, 0, 0, round_up_to_grid(x.shape[1]) - x.shape[1])) if x.device.type == "cpu" else x


def round_up_to_grid(samples: int) -> int:
    """Round up to one of 16 lengths per octave.

    The lengths include all whole seconds up to 16.

    Example:
        >>> [round_up_to_grid(samples) for samples in (8_001, 16_000, 16_001, 33_000)]
        [8500, 16000, 17000, 34000]
    """
    step = round(1000 * 2.0 ** max(-3, math.floor(math.log2(samples / 16_000))))
    return -(-samples // step) * step


def convolve(convolution: Any, x: Tensor) -> Tensor:
    """Convolve (batch, samples, channels), with channels last in memory.

    The input is an image of height 1. `nn.Conv1d` needs the samples last, layer norm the channels: with
    transposes between the two, a training step on a CPU takes twice as long.
    """
    image = x.transpose(1, 2).unsqueeze(2)  # (batch, channels, 1, samples)
    kernel, stride = convolution.weight.unsqueeze(2), (1, *convolution.stride)
    return F.conv2d(image, kernel, convolution.bias, stride).squeeze(2).transpose(1, 2)
