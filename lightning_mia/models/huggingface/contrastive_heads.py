"""Contrastive pretext heads of transformers checkpoints."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.models.huggingface.checkpoint_folder import Checkpoint
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.heads import PretextHead, load_head
from lightning_mia.models.layers.quantizer import GumbelQuantizer, Quantised
from lightning_mia.models.objectives.contrastive import (
    TEMPERATURE,
    contrastive_collapse,
    contrastive_pretext,
    contrastive_score,
    draw_negatives,
)
from lightning_mia.models.outputs import Pretext
from lightning_mia.utilities.errors import InputError

# Architectures whose checkpoints hold these heads. UniSpeechSatForPreTraining is not among them: transformers does not
# implement the task of its quantizer, and its checkpoints lack the centroids of its clusters.
ARCHITECTURES_WITH_HEADS = ("Wav2Vec2ForPreTraining", "Wav2Vec2ConformerForPreTraining", "UniSpeechForPreTraining")


def has_contrastive_heads(config: Any) -> bool:
    """Whether a checkpoint has contrastive heads, by its configuration."""
    return not set(config.architectures or ()).isdisjoint(ARCHITECTURES_WITH_HEADS)


class ContrastiveHeads(PretextHead[Quantised]):
    """Quantizer and projections of contrastive pretraining.

    wav2vec 2.0 and wav2vec2-conformer project the hidden states to the width of the targets, UniSpeech the targets to
    that of the hidden states. UniSpeech's phonetic task, which needs transcripts, is left out.

    Args:
        config: configuration of transformers.
        temperature: temperature of the Gumbel softmax that draws codes in training.
        diversity_weight: weight of the diversity loss.

    Raises:
        InputError: the configuration is not supported.
    """

    def __init__(self, config: Any, temperature: float, diversity_weight: float) -> None:
        super().__init__()
        if config.contrastive_logits_temperature != TEMPERATURE:
            raise InputError(
                f"config.json has contrastive_logits_temperature {config.contrastive_logits_temperature}; only the "
                f"published {TEMPERATURE} is supported"
            )
        self.temperature, self.diversity_weight = temperature, diversity_weight
        self.noise_dim = int(config.num_negatives)
        self.projects_targets = config.model_type == "unispeech"
        self.dropout = nn.Dropout(config.feat_quantizer_dropout)
        self.quantizer = GumbelQuantizer(
            config.conv_dim[-1], config.num_codevector_groups, config.num_codevectors_per_group, config.codevector_dim
        )
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        widths = (config.hidden_size, config.proj_codevector_dim)
        self.project_hid = nn.Linear(*(reversed(widths) if self.projects_targets else widths))

    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Quantised:
        """Quantise the frames.

        Codes are drawn in training mode; otherwise, the most probable ones are chosen.
        """
        normed = encoder.model.feature_projection.layer_norm(frames[:, :n_frames])
        return self.quantizer(self.dropout(normed), self.temperature if self.training else None)

    def _project(self, hidden: Tensor, quantised: Quantised) -> tuple[Tensor, Tensor]:
        """Project predictions and targets, (batch, frames, dim) each."""
        targets = self.project_q(quantised.vectors)
        if self.projects_targets:
            return hidden, self.project_hid(targets)
        return self.project_hid(hidden), targets

    def pretext(self, hidden: Tensor, targets: Quantised, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Compute contrastive and diversity loss, see `contrastive_pretext`."""
        # Drawn frame by frame, so that padding at the end does not change the draws before it.
        noise = torch.rand(masks.shape[1], len(masks), self.noise_dim, device=masks.device).transpose(0, 1)
        negatives = draw_negatives(masks, frame_lengths, noise)
        projected = self._project(hidden, targets)
        contrastive = contrastive_pretext(*projected, targets, masks, negatives, self.diversity_weight)
        return Pretext(contrastive.loss, {**contrastive.health, "masked_share": masks.sum() / frame_lengths.sum()})

    def score(
        self, hidden: Tensor, targets: Quantised, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Compute the log-odds of the true quantised latents, see `contrastive_score`."""
        assert noise is not None, "noise (…, batch, frames, noise_dim) is needed to draw the negatives"
        negatives = draw_negatives(masks, frame_lengths, noise)
        return contrastive_score(*self._project(hidden, targets), masks, negatives)

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse of codebooks or predictions, if any."""
        return contrastive_collapse(health, self.quantizer.n_codebooks, self.quantizer.codebook_size)

    def read(self, checkpoint: Checkpoint) -> None:
        """Load the weights of a checkpoint.

        Raises:
            InputError: weights are missing, or do not fit the configuration.
        """
        load_head(self, checkpoint, "pretext heads are")
