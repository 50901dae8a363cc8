"""Batched versions of transformers' feature extractors."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.layers.convolutions import TimeNorm, apply_front_end, convolve, pad_to_grid
from lightning_mia.models.layers.features import FRAME, HOP, padding_mask

VARIANCE_FLOOR = 1e-7  # of all feature extractors
MIN_POWER = torch.finfo(torch.float32).eps  # of Kaldi's filter banks
PREEMPHASIS = 0.97
FULL_SCALE = 2.0**15  # Kaldi works on 16-bit integers


class PaddingAwareConvolutions(nn.Module):
    """Convolutions of a transformers model, independent of padding.

    They replace its `feature_extractor` and keep the names of the weights. Group norm is computed over a recording's
    real samples. With layer norm, channels are last in memory, which halves the time.

    Args:
        original: `feature_extractor` of a model.
    """

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.conv_layers = original.conv_layers
        self.has_group_norm = False
        for layer in self.conv_layers:
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                layer.layer_norm, self.has_group_norm = _time_norm(layer.layer_norm), True

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) real samples → (batch, frames, channels)."""
        on_single = self._convolve_single if self.has_group_norm else self._convolve_batch
        trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
        with torch.set_grad_enabled(trains):
            return apply_front_end(self._convolve_batch, on_single, waveforms, lengths, self.frame_lengths)

    def _convolve_single(self, waveform: Tensor, _: Tensor) -> Tensor:
        """(1, samples) → (1, frames, channels)."""
        x = waveform.unsqueeze(1)
        for layer in self.conv_layers:
            x, norm = layer.conv(x), getattr(layer, "layer_norm", None)
            if norm is not None:
                x = F.group_norm(x.float(), x.shape[1], norm.weight, norm.bias)
            x = layer.activation(x)
        return x.transpose(1, 2)

    def _convolve_batch(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        x = pad_to_grid(waveforms.unsqueeze(2))
        for layer in self.conv_layers:
            x, lengths = convolve(layer.conv, x), self._output_lengths(layer, lengths)
            norm = getattr(layer, "layer_norm", None)
            if norm is not None:
                x = norm(x, lengths) if isinstance(norm, TimeNorm) else norm(x)
            x = layer.activation(x)
        return x[:, :n_frames]

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        for layer in self.conv_layers:
            lengths = self._output_lengths(layer, lengths)
        return lengths

    @staticmethod
    def _output_lengths(layer: Any, lengths: Tensor) -> Tensor:
        return (lengths - layer.conv.kernel_size[0]) // layer.conv.stride[0] + 1


class Waveform(nn.Module):
    """`Wav2Vec2FeatureExtractor`: optional zero mean and unit variance.

    Args:
        preprocessor: preprocessor of the checkpoint.
    """

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.normalises = bool(preprocessor.do_normalize)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, samples) float32."""
        x = waveforms.float()
        return unit_variance(x, lengths) if self.normalises else x


class KaldiFilterBank(nn.Module):
    """`SeamlessM4TFeatureExtractor`: Kaldi's log-mel frames every 10 ms, normalised and stacked.

    It is bit-exact: every step has the same precision, and mean and variance are NumPy's in float32. In a pause, all
    bands are nearly equal, and the encoder's first layer norm amplifies their differences, including rounding, a
    thousandfold.

    Args:
        preprocessor: preprocessor of the checkpoint.
    """

    window: Tensor  # (400,) float64
    filters: Tensor  # (257, bands) float64

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.stride = int(preprocessor.stride)
        self.register_buffer("window", torch.from_numpy(preprocessor.window).double(), persistent=False)
        self.register_buffer("filters", torch.from_numpy(preprocessor.mel_filters).double(), persistent=False)

    @property
    def dim(self) -> int:
        """Width of a stacked frame."""
        return self.filters.shape[1] * self.stride

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → stacked frames; an incomplete last one is dropped."""
        return self.log_mel_lengths(lengths) // self.stride

    def log_mel_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → log-mel frames."""
        return (lengths - FRAME) // HOP + 1

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples), (batch,) real samples → (batch, stacked frames, dim) float32, zero beyond the end."""
        log_mel = self._log_mel(waveforms)
        x = torch.zeros_like(log_mel)
        by_band = log_mel.transpose(1, 2).contiguous().cpu().numpy()  # (batch, bands, frames)
        for row, bands, n_frames in zip(x, by_band, self.log_mel_lengths(lengths).tolist(), strict=True):
            row[:n_frames] = torch.from_numpy(_normalised(bands[:, :n_frames].T))
        return x[:, : x.shape[1] // self.stride * self.stride].unflatten(1, (-1, self.stride)).flatten(2)

    def _log_mel(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, bands) float32."""
        with torch.autocast(waveforms.device.type, enabled=False):
            frames = waveforms.double().unfold(1, FRAME, HOP) * FULL_SCALE  # (batch, frames, 400)
            frames = frames - frames.mean(dim=2, keepdim=True)
            first, others = frames[..., :1] * (1 - PREEMPHASIS), frames[..., 1:] - PREEMPHASIS * frames[..., :-1]
            windowed = torch.cat([first, others], dim=2) * self.window
            spectrum = torch.fft.rfft(windowed, 2 * (len(self.filters) - 1)).to(torch.complex64)
            power = torch.view_as_real(spectrum).double().square().sum(dim=3)  # (batch, frames, 257)
            return (power @ self.filters).clamp(min=MIN_POWER).log().float()


class WhisperLogMel(nn.Module):
    """`WhisperFeatureExtractor`: log-mel frames of 30 s.

    A longer recording is cut, a shorter one padded with silence, which the model treats as part of the recording.

    Args:
        preprocessor: preprocessor of the checkpoint. Its dither (random noise against digital silence) is left out.
    """

    window: Tensor  # (n_fft,) float32
    filters: Tensor  # (bands, n_fft / 2 + 1) float32

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.n_samples, self.hop = int(preprocessor.n_samples), int(preprocessor.hop_length)
        self.register_buffer("window", torch.hann_window(preprocessor.n_fft), persistent=False)
        filters = torch.from_numpy(preprocessor.mel_filters).float().T.contiguous()
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) zero-padded → (batch, bands, frames) float32."""
        with torch.autocast(waveforms.device.type, enabled=False):
            padded = F.pad(waveforms[:, : self.n_samples], (0, max(0, self.n_samples - waveforms.shape[1]))).float()
            spectrum = torch.stft(padded, len(self.window), self.hop, window=self.window, return_complex=True)
            log_mel = (self.filters @ spectrum[..., :-1].abs().square().contiguous()).clamp(min=1e-10).log10()
            # Clip at eight powers of ten below the maximum.
            return (log_mel.maximum(log_mel.amax(dim=(1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


def unit_variance(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Normalise to zero mean and unit variance, without padding.

    (batch, samples), (batch,) real samples → (batch, samples) float32, zero beyond the end.
    """
    padding = padding_mask(lengths, waveforms.shape[1])
    count = lengths.unsqueeze(1)
    mean = waveforms.masked_fill(padding, 0.0).sum(dim=1, keepdim=True, dtype=torch.float64) / count
    centred = (waveforms - mean.float()).masked_fill(padding, 0.0)
    variance = centred.square().sum(dim=1, keepdim=True, dtype=torch.float64) / count
    return centred * (variance + VARIANCE_FLOOR).rsqrt().float()


def _time_norm(norm: nn.GroupNorm) -> TimeNorm:
    """Return the same norm over real samples only."""
    time_norm = TimeNorm(norm.num_channels)
    time_norm.weight, time_norm.bias = norm.weight, norm.bias
    return time_norm


def _normalised(frames: np.ndarray) -> np.ndarray:
    """Normalise every band of (frames, bands) float32."""
    return (frames - frames.mean(0)) / np.sqrt(frames.var(0, ddof=1) + VARIANCE_FLOOR)
