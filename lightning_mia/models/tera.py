"""TERA: reconstruct altered log-mel frames (Liu, Li and Lee 2021)."""

import torch
from torch import Tensor, nn

from lightning_mia.corpora.loading.batch import Batch, FrameAugmentation
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.features import LogMel, normalise, padding_mask
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.layers.transformer import SinusoidalPositions, Transformer
from lightning_mia.models.objectives.reconstruction import Alteration, masked_error, reconstruction_score
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import (
    Count,
    CountOrNone,
    Dropout,
    Layers,
    PositiveShare,
    Rate,
    Share,
    Weight,
    Width,
)


class TERA(SpeechModel):
    """TERA on log-mel frames of 10 ms.

    The loss is the L1 error of altered frames and mel bands.

    Args:
        n_mels: mel bands (published: 80).
        n_layers: transformer blocks (published base: 3).
        dim: width of the hidden states (published base: 768).
        n_heads: attention heads (published base: 12).
        feedforward_dim: inner width of the feed-forward layers (published base: 3072).
        dropout: probability of dropping an activation (published base: 0.1).
        pre_norm: layer norm before each sub-layer; false: after it, as in the published base.
        mask_probability: spans × length / frames; spans may overlap (published: 0.15).
        mask_length: frames of 10 ms per masked span (published: 7).
        max_masked_bands: maximum number of adjacent mel bands masked in an utterance (published: 16); 0: none.
        noise_probability: share of utterances with Gaussian noise on the input (published: 0.15).
        learning_rate: peak learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

    Example:
        >>> model = TERA(n_layers=2, dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> encoded = model.encode(torch.randn(1, 16_000), torch.tensor([16_000]))  # 1 s
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (3, torch.Size([1, 98, 16]))
    """

    family = "tera"
    takes_spec_augment = True

    def __init__(
        self,
        n_mels: Width = 80,
        n_layers: Layers = 2,
        dim: Width = 64,
        n_heads: Width = 4,
        feedforward_dim: Width = 256,
        dropout: Dropout = 0.0,
        pre_norm: bool = True,
        mask_probability: PositiveShare = 0.15,
        mask_length: Count = 7,
        max_masked_bands: CountOrNone = 16,
        noise_probability: Share = 0.15,
        learning_rate: Rate = 3e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= max_masked_bands <= n_mels:
            raise InputError(f"Expected max_masked_bands from 0 to n_mels = {n_mels}, but got {max_masked_bands}")
        self.save_hyperparameters()
        self.mask_span: SpanMask = SpanMask(mask_probability, mask_length)
        self.alteration = Alteration(max_masked_bands, noise_probability)
        self.log_mel = LogMel(n_mels)
        self.projection = nn.Linear(n_mels, dim)
        self.transformer = Transformer(
            SinusoidalPositions(),
            dim=dim,
            n_layers=n_layers,
            n_heads=n_heads,
            feedforward_dim=feedforward_dim,
            dropout=dropout,
            pre_norm=pre_norm,
        )
        self.head = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.LayerNorm(dim), nn.Linear(dim, n_mels))

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 10 ms."""
        return self.log_mel.frame_lengths(lengths)

    def _frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, n_mels), zero mean and unit variance per band and utterance."""
        return normalise(self.log_mel(waveforms), self.frame_lengths(lengths))

    def _encode_frames(self, frames: Tensor, lengths: Tensor) -> Encoded:
        frame_lengths = self.frame_lengths(lengths)
        padding = padding_mask(frame_lengths, frames.shape[1])
        return Encoded(self.transformer(self.projection(frames), padding), frame_lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        A masked frame is set to zero, the utterance's mean frame.
        """
        frames = self._frames(waveforms, lengths)
        if masks is not None:
            frames = frames.masked_fill(masks.unsqueeze(2), 0.0)
        return self._encode_frames(frames, lengths)

    def _reconstruct(self, encoded: Encoded) -> Tensor:
        return self.head(encoded.hidden[-1]).float()  # (batch, frames, n_mels)

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute −log of the mean L1 error over masked frames.

        All masked frames are set to zero. See `SpeechModel.pretext_score`.
        """
        frames = self._frames(waveforms, lengths)
        scores = []
        for mask in masks.reshape(-1, *masks.shape[-2:]):
            output = self._reconstruct(self._encode_frames(frames.masked_fill(mask.unsqueeze(2), 0.0), lengths))
            scores.append(reconstruction_score(output, frames, mask))
        return torch.stack(scores).view(masks.shape[:-1])

    def training_loss(self, batch: Batch) -> Pretext:
        """Compute the training loss of the augmented batch."""
        masks = self.draw_masks(batch.waveforms, batch.lengths)
        return self.pretext(batch.waveforms, batch.lengths, masks, batch.augment)

    def pretext(
        self, waveforms: Tensor, lengths: Tensor, masks: Tensor, augment: FrameAugmentation | None = None
    ) -> Pretext:
        """Compute the L1 error, mean over the batch's altered values.

        `augment` masks further parts of the input, which do not enter the loss.
        """
        frames = self._frames(waveforms, lengths)
        real = ~padding_mask(self.frame_lengths(lengths), frames.shape[1]).unsqueeze(2)
        bands = self.alteration.bands(frames)
        altered = (masks.unsqueeze(2) | bands) & real  # (batch, frames, n_mels)
        inputs = self.alteration.alter(frames, self.frame_lengths(lengths), masks, bands)
        if augment is not None:
            inputs = augment(inputs, self.frame_lengths(lengths))
        loss = masked_error(self._reconstruct(self._encode_frames(inputs, lengths)), frames, altered)
        return Pretext(loss, {"masked_share": altered.sum() / (real.sum() * frames.shape[2])})
