"""Seven convolutions from a waveform to frames of 25 ms every 20 ms (wav2vec 2.0, Baevski et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.features import normalise, padding_mask

KERNELS = (10, 3, 3, 3, 3, 2, 2)  # together 400 samples
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # together 320 samples


class TimeNorm(nn.Module):
    """Normalise every channel over an utterance's real samples: group norm with one channel a group.

    `nn.GroupNorm` counts the padding too, which moves a padded utterance's frames by tens of per cent.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, channels, samples) and (batch,) real samples → (batch, channels, samples) float32."""
        x = x.float()  # under autocast too
        padding = padding_mask(lengths, x.shape[2]).unsqueeze(1)
        count = lengths.view(-1, 1, 1)
        real = x.masked_fill(padding, 0.0)
        mean = real.sum(dim=2, keepdim=True, dtype=torch.float64) / count
        centred = (x - mean.float()).masked_fill(padding, 0.0)
        variance = centred.square().sum(dim=2, keepdim=True, dtype=torch.float64) / count
        scale = (variance + 1e-5).rsqrt().float() * self.weight.unsqueeze(1)
        return centred * scale + self.bias.unsqueeze(1)


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each sample."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(batch, channels, samples) → the same; the lengths do not matter."""
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class WaveformFrontEnd(nn.Module):
    """The convolutions, each followed by its norm and GELU.

    Args:
        channels: channels of every convolution.
        group_norm: normalise over time after the first convolution only, as in the published base models;
            False: layer norm after each.
    """

    def __init__(self, channels: int, group_norm: bool) -> None:
        super().__init__()
        self.dim = channels
        self.convolutions = nn.ModuleList(
            nn.Conv1d(channels if i else 1, channels, kernel, stride, bias=not group_norm)
            for i, (kernel, stride) in enumerate(zip(KERNELS, STRIDES, strict=True))
        )
        self.norms = nn.ModuleList([TimeNorm(channels)] if group_norm else [ChannelNorm(channels) for _ in KERNELS])
        for parameter in self.convolutions.parameters():
            if parameter.dim() == 3:  # a kernel, not a bias
                nn.init.kaiming_normal_(parameter)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) zero-padded, (batch,) real samples → (batch, frames, channels)."""
        x = normalise(waveforms.unsqueeze(2), lengths).transpose(1, 2)  # (batch, 1, samples)
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x)
            lengths = (lengths - KERNELS[i]) // STRIDES[i] + 1
            if i < len(self.norms):
                x = self.norms[i](x, lengths)
            x = F.gelu(x)
        return x.transpose(1, 2)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        for kernel, stride in zip(KERNELS, STRIDES, strict=True):
            lengths = (lengths - kernel) // stride + 1
        return lengths
