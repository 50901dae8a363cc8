"""The convolutions of a loaded model, deaf to padding and faster."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.convolutions import TimeNorm, convolve, in_batch_or_alone, padded_to_grid


class MaskAwareConvolutions(nn.Module):
    """Stands in for the `feature_extractor` of a model of transformers; its weights keep their names.

    Group norm is taken over an utterance's real samples. With layer norm, channels lie last in memory, which halves
    the time.

    Args:
        original: the `feature_extractor` of a model.
    """

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.conv_layers = original.conv_layers
        self.has_group_norm = False
        for layer in self.conv_layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                layer.layer_norm, self.has_group_norm = _over_time(layer.layer_norm), True

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) real samples → (batch, frames, channels)."""
        alone = self._alone if self.has_group_norm else self._together
        return in_batch_or_alone(self._together, alone, waveforms, lengths, self.frame_lengths)

    def _alone(self, waveform: Tensor, _: Tensor) -> Tensor:
        """(1, samples) → (1, frames, channels)."""
        x = waveform.unsqueeze(1)
        for layer in self.conv_layers:
            x, norm = layer.conv(x), getattr(layer, "layer_norm", None)
            if norm is not None:
                x = F.group_norm(x.float(), x.shape[1], norm.weight, norm.bias)
            x = layer.activation(x)
        return x.transpose(1, 2)

    def _together(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        x = padded_to_grid(waveforms.unsqueeze(2))
        for layer in self.conv_layers:
            x, lengths = convolve(layer.conv, x), self._after(layer, lengths)
            norm = getattr(layer, "layer_norm", None)
            if norm is not None:
                x = norm(x, lengths) if isinstance(norm, TimeNorm) else norm(x)
            x = layer.activation(x)
        return x[:, :n_frames]

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        for layer in self.conv_layers:
            lengths = self._after(layer, lengths)
        return lengths

    @staticmethod
    def _after(layer: Any, lengths: Tensor) -> Tensor:
        return (lengths - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1


def _over_time(norm: nn.GroupNorm) -> TimeNorm:
    """The same norm with the same weights, over the real samples only."""
    time_norm = TimeNorm(norm.num_channels)
    time_norm.weight, time_norm.bias = norm.weight, norm.bias
    return time_norm
