"""Log-mel frames of S3PRL's TERA and Mockingjay checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.utilities.errors import InputError

N_FFT = 400  # samples


@dataclass(frozen=True)
class MelSettings:
    """Settings of a checkpoint's frames."""

    target_level: float  # root mean square of every waveform (decibels)
    window: int  # samples
    hop: int  # samples
    n_mels: int
    log: bool
    deltas: int  # orders of appended differences
    cmvn: bool  # zero mean and unit variance in every band of an utterance
    eps: float  # added to the power before the logarithm, and to the standard deviation


class PublishedMel(nn.Module):
    """Mel frames centred on every `hop`-th sample, with mirrored ends.

    Args:
        settings: settings of the checkpoint's frames.
    """

    window: Tensor  # (settings.window,)
    filters: Tensor  # (201, n_mels)

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.dim = settings.n_mels * (1 + settings.deltas)
        with torch.device("cpu"):  # `melscale_fbanks` reads tensor values, which a meta device does not have
            filters = melscale_fbanks(N_FFT // 2 + 1, 0.0, SAMPLE_RATE / 2, settings.n_mels, SAMPLE_RATE)
        self.register_buffer("window", torch.hann_window(settings.window), persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames."""
        return lengths // self.settings.hop + 1

    def forward(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) zero-padded, (batch,) real samples → (batch, frames, dim) float32."""
        settings, n_frames = self.settings, self.frame_lengths(lengths)
        with torch.autocast(waveforms.device.type, enabled=False):
            spectrum = torch.stft(
                mirrored(_level(waveforms.float(), lengths, settings.target_level), lengths),
                N_FFT,
                settings.hop,
                settings.window,
                self.window,
                center=False,
                return_complex=True,
            )  # (batch, 201, frames)
            frames = torch.view_as_real(spectrum.transpose(1, 2)).square().sum(dim=3) @ self.filters
            frames = (frames + settings.eps).log() if settings.log else frames
            orders = [frames]
            for _ in range(settings.deltas):
                orders.append(slopes(orders[-1], n_frames))
            frames = torch.cat(orders, dim=2)
            return _cmvn(frames, n_frames, settings.eps) if settings.cmvn else frames


def mel_settings(audio: Mapping[str, Any], path: str) -> MelSettings:
    """Parse the entry `audio` of a checkpoint's configuration.

    Args:
        audio: the entry.
        path: path of the checkpoint, for messages.

    Raises:
        InputError: the frames are not supported.
        KeyError, TypeError, ValueError: a value is missing or invalid.
    """
    if "kaldi" in audio:
        raise InputError(f"{path} takes Kaldi's filter banks, which are not supported; give one that takes mel frames")
    frame = audio["input"]
    if frame["feat_type"] != "mel":
        raise InputError(
            f"{path} takes frames of {frame['feat_type']}, which are not supported; give one that takes mel frames"
        )
    rate, n_freq = int(audio.get("sample_rate", SAMPLE_RATE)), int(audio.get("n_freq", N_FFT // 2 + 1))
    window, hop = (round(float(audio.get(name, ms)) * rate / 1000) for name, ms in (("win_ms", 25), ("hop_ms", 10)))
    if rate != SAMPLE_RATE or n_freq != N_FFT // 2 + 1 or not 0 < window <= N_FFT or hop < 1:
        raise InputError(
            f"{path} takes {rate} Hz and {n_freq} frequencies, which is not supported; expected 16000 Hz and 201"
        )
    n_mels, deltas = int(audio.get("n_mels", 40)), int(frame.get("delta", 0))
    if n_mels < 1 or deltas < 0:
        raise ValueError(f"n_mels {n_mels}, delta {deltas}")
    return MelSettings(
        target_level=float(audio["target_level"]),
        window=window,
        hop=hop,
        n_mels=n_mels,
        log=bool(frame.get("log", False)),
        deltas=deltas,
        cmvn=bool(frame.get("cmvn", False)),
        eps=float(audio.get("eps", 1e-10)),
    )


def mirrored(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Mirror every utterance at its own ends: (batch, samples) → (batch, samples + N_FFT).

    Example:
        >>> padded = mirrored(torch.arange(500.0).view(1, -1), torch.tensor([300]))
        >>> padded[0, [0, 199, 200, 201, 499, 500, 501]].tolist()
        [200.0, 1.0, 0.0, 1.0, 299.0, 298.0, 297.0]
    """
    last = lengths.unsqueeze(1) - 1
    time = torch.arange(-N_FFT // 2, waveforms.shape[1] + N_FFT // 2, device=lengths.device).abs()
    return waveforms.gather(1, torch.minimum(time, (2 * last - time).clamp(min=0)))


def slopes(frames: Tensor, lengths: Tensor) -> Tensor:
    """Compute the regression slope over 5 frames.

    (batch, frames, dim) → same shape; the first and the last real frame are repeated past the ends.
    """
    time = torch.arange(-2, frames.shape[1] + 2, device=frames.device)
    time = time.clamp(min=0).minimum(lengths.unsqueeze(1) - 1)  # (batch, frames + 4)
    extended = frames.gather(1, time.unsqueeze(2).expand(-1, -1, frames.shape[2]))
    return extended.unfold(1, 5, 1) @ torch.tensor([-0.2, -0.1, 0.0, 0.1, 0.2], device=frames.device)


def _level(waveforms: Tensor, lengths: Tensor, decibels: float) -> Tensor:
    """Scale every waveform to a root mean square level (decibels)."""
    mean_square = waveforms.square().sum(dim=1, keepdim=True, dtype=torch.float64) / lengths.unsqueeze(1)
    return waveforms * (10 ** (decibels / 20) / (mean_square.sqrt() + 1e-10)).float()


def _cmvn(frames: Tensor, lengths: Tensor, eps: float) -> Tensor:
    """Normalise over the real frames, with the unbiased variance."""
    padding = padding_mask(lengths, frames.shape[1]).unsqueeze(2)
    count = lengths.view(-1, 1, 1)
    mean = frames.masked_fill(padding, 0.0).sum(dim=1, keepdim=True, dtype=torch.float64) / count
    centred = (frames - mean).masked_fill(padding, 0.0)  # float64: a constant band stays near zero
    deviation = (centred.square().sum(dim=1, keepdim=True) / (count - 1)).sqrt()
    return (centred / (deviation + eps)).float()
