"""wav2vec 2.0 (Baevski et al. 2020)."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.convolutions import WaveformFrontEnd
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.layers.quantizer import GumbelQuantizer
from lightning_mia.models.layers.transformer import Transformer, make_positions
from lightning_mia.models.objectives.contrastive import (
    contrastive_collapse,
    contrastive_pretext,
    contrastive_score,
    draw_negatives,
)
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import (
    Count,
    CountOrNone,
    Dropout,
    Layers,
    Positive,
    PositiveShare,
    Rate,
    Share,
    Weight,
    Width,
)


class Wav2Vec2(SpeechModel):
    """wav2vec 2.0 on waveforms.

    Seven convolutions, a transformer at 50 Hz; the targets are quantised latents. With the same weights, its outputs
    equal those of transformers' `Wav2Vec2ForPreTraining`. LayerDrop is not implemented.

    Args:
        conv_channels: channels of the seven convolutions (published base: 512).
        conv_group_norm: normalise over time after the first convolution, as the published base does; false:
            layer norm after each convolution.
        n_layers: transformer blocks (published base: 12).
        dim: width of the hidden states (published base: 768).
        n_heads: attention heads (published base: 12).
        feedforward_dim: inner width of the feed-forward layers (published base: 3072).
        dropout: probability of dropping an activation (published base: 0.1).
        pre_norm: layer norm before each sub-layer; false: after it, as in the published base.
        position_kernel: width of the positional convolution, frames of 20 ms (published base: 128); 0: sinusoidal
            positions, which have no parameters.
        position_groups: groups of the positional convolution (published base: 16).
        n_codebooks: codebooks; a latent is one code from each (published: 2).
        codebook_size: codes per codebook (published: 320).
        code_dim: width of a quantised latent (published base: 256).
        projection_dim: dimension in which outputs and targets are compared (published base: 256).
        n_negatives: negatives per masked frame (published: 100).
        mask_probability: spans × length / frames; spans overlap (published: 0.65).
        mask_length: frames of 20 ms per masked span (published: 10).
        diversity_weight: weight of the diversity loss, which keeps codes in use (published: 0.1).
        feature_penalty: weight of the latents' mean square (published base: 10); for convolutions without layer norm.
        feature_gradient_scale: factor on the gradient that reaches the convolutions (published: 0.1).
        gumbel_start: initial temperature of the Gumbel softmax (published: 2).
        gumbel_end: lowest temperature, reached geometrically (published base: 0.5).
        gumbel_fraction: share of the steps after which it is reached (published base: 0.7, of 400,000 steps).
        learning_rate: peak learning rate of AdamW (published base: 5e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

    Example:
        >>> model = Wav2Vec2(conv_channels=8, n_layers=2, dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> encoded = model.encode(torch.randn(1, 16_000), torch.tensor([16_000]))  # 1 s
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (3, torch.Size([1, 49, 16]))
    """

    family = "wav2vec2"

    def __init__(
        self,
        conv_channels: Width = 32,
        conv_group_norm: bool = False,
        n_layers: Layers = 2,
        dim: Width = 64,
        n_heads: Width = 4,
        feedforward_dim: Width = 256,
        dropout: Dropout = 0.0,
        pre_norm: bool = True,
        position_kernel: CountOrNone = 0,
        position_groups: Width = 16,
        n_codebooks: Width = 2,
        codebook_size: Width = 64,
        code_dim: Width = 128,
        projection_dim: Width = 64,
        n_negatives: Count = 50,
        mask_probability: PositiveShare = 0.65,
        mask_length: Count = 10,
        diversity_weight: Weight = 0.5,
        feature_penalty: Weight = 0.0,
        feature_gradient_scale: Weight = 0.1,
        gumbel_start: Positive = 2.0,
        gumbel_end: Positive = 0.5,
        gumbel_fraction: PositiveShare = 0.7,
        learning_rate: Rate = 3e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        if n_negatives < 1:
            raise InputError(f"Expected n_negatives of at least 1, but got {n_negatives}")
        if not 0 < gumbel_end <= gumbel_start:
            raise InputError(f"Expected 0 < gumbel_end <= gumbel_start, but got {gumbel_end} and {gumbel_start}")
        if not 0 < gumbel_fraction <= 1:
            raise InputError(f"Expected gumbel_fraction in (0, 1], but got {gumbel_fraction}")
        self.save_hyperparameters()
        self.mask_span: SpanMask = SpanMask(mask_probability, mask_length)
        self.noise_dim = n_negatives
        self.temperature = gumbel_start
        self.front_end = WaveformFrontEnd(conv_channels, conv_group_norm)
        self.frame_norm = nn.LayerNorm(conv_channels)
        self.projection = nn.Linear(conv_channels, dim)
        self.dropout = nn.Dropout(dropout)
        self.mask_embedding = nn.Parameter(torch.empty(dim).uniform_())
        self.transformer = Transformer(
            make_positions(dim, position_kernel, position_groups),
            dim=dim,
            n_layers=n_layers,
            n_heads=n_heads,
            feedforward_dim=feedforward_dim,
            dropout=dropout,
            pre_norm=pre_norm,
        )
        self.quantizer = GumbelQuantizer(conv_channels, n_codebooks, codebook_size, code_dim)
        self.prediction_projection = nn.Linear(dim, projection_dim)
        self.target_projection = nn.Linear(code_dim, projection_dim)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 20 ms."""
        return self.front_end.frame_lengths(lengths)

    def _transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None) -> Encoded:
        frame_lengths = self.frame_lengths(lengths)
        x = self.dropout(self.projection(frames))  # (batch, frames, dim)
        if masks is not None:
            x = torch.where(masks.unsqueeze(2), self.mask_embedding.to(x.dtype), x)
        return Encoded(self.transformer(x, padding_mask(frame_lengths, x.shape[1])), frame_lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        A masked frame is replaced by a learned vector.
        """
        return self._transform(self.frame_norm(self.front_end(waveforms, lengths)), lengths, masks)

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true quantised latents, see `contrastive_score`.

        The most probable codes are the targets, and `noise` determines the negatives. See `SpeechModel.pretext_score`.
        """
        assert noise is not None, "noise (…, batch, frames, noise_dim) is needed to draw the negatives"
        frame_lengths = self.frame_lengths(lengths)
        frames = self.frame_norm(self.front_end(waveforms, lengths))
        targets = self.target_projection(self.quantizer(frames, None).vectors)
        scores = []
        draws = zip(masks.reshape(-1, *masks.shape[-2:]), noise.reshape(-1, *noise.shape[-3:]), strict=True)
        for mask, mask_noise in draws:
            predictions = self.prediction_projection(self._transform(frames, lengths, mask).hidden[-1])
            negatives = draw_negatives(mask, frame_lengths, mask_noise)
            scores.append(contrastive_score(predictions, targets, mask, negatives))
        return torch.stack(scores).view(masks.shape[:-1])

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute contrastive, diversity and feature loss, see `contrastive_pretext`.

        In training mode, the Gumbel softmax draws the codes; in evaluation mode, the most probable ones are chosen.
        """
        frame_lengths, settings = self.frame_lengths(lengths), self.hparams
        # Drawn frame by frame, so that padding at the end does not change the draws before it.
        noise = torch.rand(masks.shape[1], len(masks), self.noise_dim, device=masks.device).transpose(0, 1)
        latents = self.front_end(waveforms, lengths)
        latents = scale_gradient(latents, settings["feature_gradient_scale"])
        frames = self.frame_norm(latents)
        quantised = self.quantizer(self.dropout(frames), self.temperature if self.training else None)
        predictions = self.prediction_projection(self._transform(frames, lengths, masks).hidden[-1])
        contrastive = contrastive_pretext(
            predictions,
            self.target_projection(quantised.vectors),
            quantised,
            masks,
            draw_negatives(masks, frame_lengths, noise),
            settings["diversity_weight"],
        )
        health = {
            **contrastive.health,
            "masked_share": masks.sum() / frame_lengths.sum(),
            "temperature": torch.full((), self.temperature, device=masks.device),
        }
        penalty = settings["feature_penalty"]
        loss = contrastive.loss + penalty * mean_square(latents, frame_lengths) if penalty else contrastive.loss
        return Pretext(loss, health)

    def settings_further(self, learning_rate: float) -> dict[str, Any]:
        """Keep the temperature that training ended with; see `SpeechModel.settings_further`."""
        settings = super().settings_further(learning_rate)
        return {**settings, "gumbel_start": self.hparams["gumbel_end"]}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Lower the Gumbel temperature.

        It depends on the step alone, so that a resumed training is identical.
        """
        settings: Any = self.hparams
        total_steps = self.trainer.estimated_stepping_batches
        self.temperature = gumbel_temperature(
            self.global_step / (settings.gumbel_fraction * total_steps), settings.gumbel_start, settings.gumbel_end
        )

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse of codebooks or predictions, if any."""
        reason = contrastive_collapse(health, self.hparams["n_codebooks"], self.hparams["codebook_size"])
        return f"wav2vec 2.0: {reason}" if reason else ""


def gumbel_temperature(progress: float, start: float, end: float) -> float:
    """Decay geometrically from `start` to `end` (at progress 1).

    The paper multiplies by .999995 at each of 400,000 steps, and reaches the end after 277,000. With relative progress,
    short runs reach low temperatures too.

    Example:
        >>> [gumbel_temperature(progress, 2.0, 0.5) for progress in (0.0, 0.5, 1.0, 1.3)]
        [2.0, 1.0, 0.5, 0.5]
    """
    return start * (end / start) ** min(1.0, progress)


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """Return x unchanged, with a scaled gradient."""
    return x.detach() + scale * (x - x.detach())


def mean_square(x: Tensor, lengths: Tensor) -> Tensor:
    """Compute the mean square over the real frames.

    (batch, frames, channels), (batch,) real frames → () float32.
    """
    x = x.float().masked_fill(padding_mask(lengths, x.shape[1]).unsqueeze(2), 0.0)
    return x.square().sum() / (lengths.sum() * x.shape[2])
