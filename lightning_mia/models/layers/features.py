"""Log-mel and MFCC frames that do not depend on padding."""

import numpy as np
import torch
from torch import Tensor, nn
from torchaudio.functional import create_dct, melscale_fbanks

from lightning_mia.corpora.audio import SAMPLE_RATE

FRAME = 400  # samples, 25 ms
HOP = 160  # samples, 10 ms
POWER_FLOOR = 1e-8  # power of 16-bit rounding noise in one frame; digital silence stays finite
VARIANCE_FLOOR = 1e-6  # a constant band stays near zero


def padding_mask(lengths: Tensor, n_frames: int) -> Tensor:
    """(batch,) lengths → (batch, n_frames) bool, True beyond an utterance's end."""
    return torch.arange(n_frames, device=lengths.device) >= lengths.unsqueeze(1)


class LogMel(nn.Module):
    """Log-mel frames of 25 ms every 10 ms.

    A frame exists only if all its 25 ms do, so that padding has no effect.

    Args:
        n_mels: mel bands between 20 Hz and 8 kHz.

    Example:
        >>> LogMel(n_mels=40)(torch.randn(1, 16_000)).shape  # 1 s
        torch.Size([1, 98, 40])
    """

    window: Tensor  # (400,)
    filters: Tensor  # (402, n_mels): each of 201 frequencies twice, for real and imaginary part

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        with torch.device("cpu"):  # `melscale_fbanks` reads tensor values, which a meta device does not have
            filters = melscale_fbanks(FRAME // 2 + 1, 20.0, SAMPLE_RATE / 2, n_mels, SAMPLE_RATE)
        self.register_buffer("window", torch.hann_window(FRAME), persistent=False)
        self.register_buffer("filters", filters.repeat_interleave(2, dim=0), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) float32 → (batch, frames, n_mels) float32, natural logarithm of the power."""
        with torch.autocast(waveforms.device.type, enabled=False):
            spectrum = torch.stft(
                waveforms.float(), FRAME, HOP, window=self.window, center=False, return_complex=True
            )  # (batch, 201, frames)
            parts = torch.view_as_real(spectrum.transpose(1, 2)).flatten(2)  # (batch, frames, 402)
            # Filtering the squared parts is several times faster than taking the modulus first.
            return (parts.square() @ self.filters + POWER_FLOOR).log()

    @staticmethod
    def frame_lengths(lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return (lengths - FRAME) // HOP + 1


def normalise(x: Tensor, lengths: Tensor) -> Tensor:
    """Normalise every band over the real frames (CMVN).

    Sums are in float64, so that the amount of padding does not change their rounding.

    Args:
        x: (batch, frames, bands) float32.
        lengths: (batch,) real frames.

    Returns:
        (batch, frames, bands) float32, zero beyond an utterance's end.
    """
    padding = padding_mask(lengths, x.shape[1]).unsqueeze(2)
    count = lengths.view(-1, 1, 1)
    mean = x.masked_fill(padding, 0.0).sum(dim=1, keepdim=True, dtype=torch.float64) / count
    centred = (x - mean.float()).masked_fill(padding, 0.0)
    variance = centred.square().sum(dim=1, keepdim=True, dtype=torch.float64) / count
    return centred * (variance + VARIANCE_FLOOR).rsqrt().float()


class MFCC(nn.Module):
    """MFCC every 20 ms, from log-mel frames every 10 ms.

    A frame is 13 cepstra with first and second differences. All steps are linear, so that one matrix computes a frame
    from 9 log-mel frames: a cosine transform over the bands and, over time, the regression slope of 5 frames, once for
    first and twice for second differences. The first and the last real frame are repeated past the ends.

    Args:
        n_mels: mel bands of the log-mel frames.

    Example:
        >>> MFCC(n_mels=40)(torch.randn(1, 98, 40), torch.tensor([98])).shape
        torch.Size([1, 49, 39])
    """

    dim = 39
    matrix: Tensor  # (n_mels × 9 frames, 39)

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        slope = np.array([-2, -1, 0, 1, 2]) / 10
        over_time = np.stack([np.eye(9)[4], np.pad(slope, 2), np.convolve(slope, slope)])  # (3, 9)
        over_bands = create_dct(13, n_mels, norm="ortho")  # (n_mels, 13)
        matrix = torch.einsum("dt,mc->mtdc", torch.tensor(over_time).float(), over_bands)
        self.register_buffer("matrix", matrix.flatten(0, 1).flatten(1), persistent=False)

    def forward(self, log_mel: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, n_mels) float32, (batch,) real frames → (batch, ⌈frames / 2⌉, 39) float32."""
        time = torch.arange(-4, log_mel.shape[1] + 4, device=log_mel.device)
        time = time.clamp(min=0).minimum(lengths.unsqueeze(1) - 1)  # (batch, frames + 8)
        extended = log_mel.gather(1, time.unsqueeze(2).expand(-1, -1, log_mel.shape[2]))
        with torch.autocast(log_mel.device.type, enabled=False):
            return extended.unfold(1, 9, 2).flatten(2) @ self.matrix
