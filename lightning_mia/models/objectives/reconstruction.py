"""Reconstruction of altered log-mel frames, the task of TERA."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.augmentation import draw_spans

NOISE = 0.2  # standard deviation, as in the paper


@dataclass(frozen=True)
class Alteration:
    """Random changes of the input, drawn from torch's global generator.

    Args:
        max_masked_bands: maximum number of adjacent bands masked in an utterance; 0: none.
        noise_probability: share of utterances with Gaussian noise.

    Example:
        >>> alteration = Alteration(max_masked_bands=16, noise_probability=0.15)
        >>> alteration.bands(torch.zeros(2, 100, 80)).shape
        torch.Size([2, 1, 80])
    """

    max_masked_bands: int
    noise_probability: float

    def bands(self, frames: Tensor) -> Tensor:
        """Draw adjacent bands to mask, (batch, 1, n_mels) bool."""
        n_mels = torch.full((len(frames),), frames.shape[2], device=frames.device)
        max_width = torch.full_like(n_mels, self.max_masked_bands)
        return draw_spans(n_mels, max_width, frames.shape[2]).unsqueeze(1)

    def alter(self, frames: Tensor, frame_lengths: Tensor, masks: Tensor, bands: Tensor) -> Tensor:
        """Alter masked frames, mask bands, add noise.

        Args:
            frames: (batch, frames, n_mels).
            frame_lengths: (batch,) int64, real frames.
            masks: (batch, frames) bool, masked frames.
            bands: (batch, 1, n_mels) bool, masked bands.

        Returns:
            Shape of `frames`.
        """
        return self.add_noise(alter_frames(frames, frame_lengths, masks).masked_fill(bands, 0.0))

    def add_noise(self, frames: Tensor) -> Tensor:
        """Add Gaussian noise to some utterances."""
        noisy = torch.rand(len(frames), 1, 1, device=frames.device) < self.noise_probability
        return frames + noisy * NOISE * torch.randn_like(frames)


def alter_frames(frames: Tensor, frame_lengths: Tensor, masks: Tensor) -> Tensor:
    """Alter the masked frames.

    They are zeroed in 80 % of utterances, replaced by other frames in 10 %, and kept in 10 %; see `Alteration.alter`.
    """
    choice = torch.rand(len(frames), 1, 1, device=frames.device)
    shift = torch.rand(len(frames), 1, device=frames.device) * frame_lengths.unsqueeze(1)
    time = torch.arange(frames.shape[1], device=frames.device)
    source = (time + shift.long()) % frame_lengths.unsqueeze(1)  # (batch, frames)
    replaced = frames.gather(1, source.unsqueeze(2).expand_as(frames))
    altered = torch.where(choice < 0.8, 0.0, torch.where(choice < 0.9, replaced, frames))
    return torch.where(masks.unsqueeze(2), altered, frames)


def masked_error(outputs: Tensor, targets: Tensor, altered: Tensor, power: int = 1) -> Tensor:
    """Compute the mean error over the altered values.

    Args:
        outputs: (batch, frames, n_mels).
        targets: (batch, frames, n_mels).
        altered: (batch, frames, n_mels) bool.
        power: 1: absolute error (L1); 2: squared error.
    """
    return ((outputs - targets).abs().pow(power) * altered).sum() / altered.sum()


def reconstruction_score(outputs: Tensor, targets: Tensor, mask: Tensor, power: int = 1) -> Tensor:
    """Compute −log of each utterance's mean error over masked frames.

    Args:
        outputs: (batch, frames, n_mels).
        targets: (batch, frames, n_mels).
        mask: (batch, frames) bool.
        power: see `masked_error`.

    Returns:
        (batch,) float64.
    """
    error = (outputs - targets).abs().pow(power).mean(dim=2, dtype=torch.float64)  # (batch, frames)
    return -((error * mask).sum(dim=1) / mask.sum(dim=1)).log()
