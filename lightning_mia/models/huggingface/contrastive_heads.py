"""The heads that wav2vec 2.0 and its kin were pretrained with, out of a checkpoint of transformers."""

from collections.abc import Container
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.models.huggingface.checkpoint import Checkpoint, weight_files
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.heads import PretextHead
from lightning_mia.models.huggingface.hub import find_folder
from lightning_mia.models.layers.quantizer import GumbelQuantizer, Quantised
from lightning_mia.models.objectives.contrastive import (
    TEMPERATURE,
    contrastive_collapse,
    contrastive_pretext,
    contrastive_score,
    draw_negatives,
)
from lightning_mia.models.outputs import Pretext
from lightning_mia.utilities.errors import InputError, list_first

# Whose checkpoints hold these heads. UniSpeechSatForPreTraining is none of them: its quantiser belongs to a task that
# transformers does not have, and the centroids of its clusters are not in its checkpoints.
ARCHITECTURES_WITH_HEADS = ("Wav2Vec2ForPreTraining", "Wav2Vec2ConformerForPreTraining", "UniSpeechForPreTraining")


def has_contrastive_heads(config: Any) -> bool:
    """Whether a checkpoint was saved with the heads of its contrastive pretraining, by what its config.json says."""
    return not set(config.architectures or ()).isdisjoint(ARCHITECTURES_WITH_HEADS)


class ContrastiveHeads(PretextHead[Quantised]):
    """Quantiser and projections, with the names and the answers that they have in transformers.

    wav2vec 2.0 and its conformer project the hidden states to the width of the targets, UniSpeech the targets to that
    of the hidden states. UniSpeech's phonetic task, which needs transcripts, is left out.

    Args:
        config: of transformers.
        temperature: of the Gumbel softmax that draws codes in training.
        diversity_weight: of the loss that keeps codes in use.

    Raises:
        InputError: the configuration is of no heads that are understood.
    """

    def __init__(self, config: Any, temperature: float, diversity_weight: float) -> None:
        super().__init__()
        if config.contrastive_logits_temperature != TEMPERATURE:
            raise InputError(
                f"config.json has contrastive_logits_temperature {config.contrastive_logits_temperature}; only the "
                f"published {TEMPERATURE} is understood"
            )
        self.temperature, self.diversity_weight = temperature, diversity_weight
        self.noise_dim = int(config.num_negatives)
        self.targets_come_up = config.model_type == "unispeech"
        self.dropout = nn.Dropout(config.feat_quantizer_dropout)
        self.quantizer = GumbelQuantizer(
            config.conv_dim[-1], config.num_codevector_groups, config.num_codevectors_per_group, config.codevector_dim
        )
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        widths = (config.hidden_size, config.proj_codevector_dim)
        self.project_hid = nn.Linear(*(reversed(widths) if self.targets_come_up else widths))

    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Quantised:
        """Frames as codes: drawn by the Gumbel softmax in training mode, otherwise the most probable ones."""
        normed = encoder.model.feature_projection.layer_norm(frames[:, :n_frames])
        return self.quantizer(self.dropout(normed), self.temperature if self.training else None)

    def _in_one_space(self, hidden: Tensor, quantised: Quantised) -> tuple[Tensor, Tensor]:
        """Predictions and targets, (batch, frames, dim) each."""
        targets = self.project_q(quantised.vectors)
        if self.targets_come_up:
            return hidden, self.project_hid(targets)
        return self.project_hid(hidden), targets

    def pretext(self, hidden: Tensor, targets: Quantised, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Contrastive and diversity loss, see `contrastive_pretext`."""
        # Frames come first, so that padding at the end changes no draw before it.
        noise = torch.rand(masks.shape[1], len(masks), self.noise_dim, device=masks.device).transpose(0, 1)
        negatives = draw_negatives(masks, frame_lengths, noise)
        in_one_space = self._in_one_space(hidden, targets)
        answer = contrastive_pretext(*in_one_space, targets, masks, negatives, self.diversity_weight)
        return Pretext(answer.loss, {**answer.health, "masked_share": masks.sum() / frame_lengths.sum()})

    def score(
        self, hidden: Tensor, targets: Quantised, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Log-odds of the mean probability of the true quantised latent, see `contrastive_score`."""
        assert noise is not None, "the negatives are drawn by noise (…, batch, frames, noise_dim)"
        negatives = draw_negatives(masks, frame_lengths, noise)
        return contrastive_score(*self._in_one_space(hidden, targets), masks, negatives)

    def collapse(self, health: dict[str, float]) -> str:
        """Say that codes have fallen out of use, or that masked frames are guessed."""
        return contrastive_collapse(health, self.quantizer.n_codebooks, self.quantizer.codebook_size)

    def read(self, checkpoint: Checkpoint) -> None:
        """Take the weights of a checkpoint.

        Raises:
            InputError: some are missing, or do not fit the configuration.
        """
        ours = self.state_dict()
        theirs: dict[str, Tensor] = {}
        for path in weight_files(checkpoint.name, find_folder(checkpoint.name, checkpoint.revision)):
            theirs |= _tensors(path, ours.keys())
        wrong = [f"{name} is missing" for name in ours if name not in theirs]
        wrong += [
            f"{name} has the shape {tuple(found.shape)} instead of {tuple(ours[name].shape)}"
            for name, found in theirs.items()
            if found.shape != ours[name].shape
        ]
        if wrong:
            raise InputError(
                f"config.json of {checkpoint.name} names {checkpoint.config.architectures[0]}, but its pretraining "
                f"heads are not whole: {list_first(wrong, 3)}; fetch it anew, or name a bare encoder in `architectures`"
            )
        self.load_state_dict(theirs)


def _tensors(path: Path, names: Container[str]) -> dict[str, Tensor]:
    """Those tensors of a file of weights that have one of these names; of a pickled one, no code is run."""
    if path.suffix != ".safetensors":
        weights = torch.load(path, map_location="cpu", weights_only=True)
        return {name: weights[name] for name in weights if name in names}
    from safetensors import safe_open

    with safe_open(path, framework="pt") as weights:
        return {name: weights.get_tensor(name) for name in weights.keys() if name in names}  # noqa: SIM118
