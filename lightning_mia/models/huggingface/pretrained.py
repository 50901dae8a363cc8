"""An encoder that comes trained: a checkpoint of Hugging Face's transformers, whatever its family."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.huggingface import load_encoder
from lightning_mia.models.huggingface.checkpoint import open_checkpoint
from lightning_mia.models.huggingface.contrastive_heads import ContrastiveHeads, has_contrastive_heads
from lightning_mia.models.huggingface.heads import ClusterHead, PretextHead
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.optimizer import is_front_end, layer_wise
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError

# Weights that do not learn: transformers makes the conformer's and leaves them out, Whisper's are sines and cosines.
FIXED = {"wav2vec2-conformer": "pos_conv_embed", "whisper": "embed_positions"}


class PretrainedEncoder(SpeechModel):
    """A speech encoder of Hugging Face's transformers, in float32.

    Understood are wav2vec 2.0, HuBERT, WavLM, Data2Vec-Audio, UniSpeech, UniSpeech-SAT, wav2vec2-conformer,
    wav2vec2-BERT, SEW and the encoder of Whisper, each also out of a checkpoint that has heads on it. What it says of a
    recording is, to rounding, what transformers says of that recording alone with the checkpoint's own preprocessor,
    however recordings are batched. An adapter (`add_adapter`), which shortens the sequence for a decoder, is left out.

    Its pretraining can go on. A checkpoint of `Wav2Vec2ForPreTraining`, `Wav2Vec2ConformerForPreTraining` or
    `UniSpeechForPreTraining` brings the heads of its contrastive task: it is trained on by that task, and can be asked
    for its pretext score at once. All others get HuBERT's task with a fresh head, whatever they were pretrained by: to
    guess the clusters of hidden MFCC frames, fitted on the training recordings. They can be asked once they have been
    trained on.

    Args:
        checkpoint: folder with config.json, preprocessor_config.json and weights, or a name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.
        fresh: the same configuration with weights drawn at random, for the untrained control.
        mask_probability: spans × length / frames; spans overlap (wav2vec 2.0: 0.65, HuBERT: 0.8).
        mask_length: frames in a masked span (wav2vec 2.0 and HuBERT: 10).
        n_clusters: with a fresh head, clusters of training frames to guess (HuBERT: 100, then 500).
        code_dim: with a fresh head, width in which outputs and clusters are compared (HuBERT: 256).
        cluster_seed: with a fresh head, seed of the k-means that makes the clusters.
        gumbel_temperature: with heads of its own, at which codes are drawn in training (wav2vec 2.0: 2 at first, at the
            end 0.5 in base and 0.1 in large); it stays where it is.
        diversity_weight: with heads of its own, of the loss that keeps codes in use (wav2vec 2.0: 0.1).
        freeze_front_end: keep the convolutions before the transformer as they are; wav2vec2-BERT has none.
        layer_decay: learning rate of a layer over that of the layer above; 1: all learn alike.
        learning_rate: highest learning rate of AdamW, that of the head (HuBERT and wav2vec 2.0 base: 5e-4).
        weight_decay: of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
    """

    def __init__(
        self,
        checkpoint: str,
        revision: str | None = None,
        fresh: bool = False,
        mask_probability: float = 0.65,
        mask_length: int = 10,
        n_clusters: int = 100,
        code_dim: int = 256,
        cluster_seed: int = 0,
        gumbel_temperature: float = 0.5,
        diversity_weight: float = 0.1,
        freeze_front_end: bool = False,
        layer_decay: float = 1.0,
        learning_rate: float = 1e-4,
        weight_decay: float = 0.01,
        warmup_fraction: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if gumbel_temperature <= 0:
            raise InputError(f"Expected gumbel_temperature above 0, but got {gumbel_temperature}")
        if not 0 < layer_decay <= 1:
            raise InputError(f"Expected layer_decay in (0, 1], but got {layer_decay}")
        self.mask_span: SpanMask = SpanMask(mask_probability, mask_length)
        self.encoder = load_encoder(checkpoint, revision, fresh)
        self.family = self.encoder.model.config.model_type
        self.is_pretrained = not fresh
        self.head = self._make_head()
        self.noise_dim = self.head.noise_dim
        for name, parameter in self.encoder.named_parameters():
            fixed = FIXED.get(self.family) in name.split(".")
            parameter.requires_grad = not (fixed or (freeze_front_end and is_front_end(name)))

    def _make_head(self) -> PretextHead[Any]:
        settings: Any = self.hparams
        config = self.encoder.model.config
        if not has_contrastive_heads(config):
            return ClusterHead(self.encoder, settings.n_clusters, settings.code_dim, settings.cluster_seed)
        heads = ContrastiveHeads(config, settings.gumbel_temperature, settings.diversity_weight)
        if not settings.fresh:
            heads.read(open_checkpoint(settings.checkpoint, settings.revision))
        return heads

    def weights_sha256(self) -> str:
        """Hash of the checkpoint's files; empty with fresh weights."""
        settings: Any = self.hparams
        return "" if settings.fresh else open_checkpoint(settings.checkpoint, settings.revision).sha256()

    def untrained(self) -> "PretrainedEncoder":
        """Return the same configuration with fresh weights."""
        settings = {name: value for name, value in self.hparams.items() if not name.startswith("_")}
        return type(self)(**{**settings, "fresh": True})

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of the encoder."""
        return self.encoder.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        The hidden states are the input of every block, and last what transformers calls `last_hidden_state`. A masked
        frame is the model's own mask embedding after the projection; where the checkpoint has none, it is zero there,
        and in Whisper in the log-mel frames.
        """
        return self.encoder(waveforms, lengths, masks)

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` can be asked: it came with its heads, or has been trained on."""
        return not self.needs_targets

    @property
    def needs_targets(self) -> bool:
        """Whether the clusters are still to be fitted; heads of its own need none."""
        return self.head.needs_targets

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the clusters on the training recordings alone: the targets are a part of the leak."""
        self.head.fit_targets((batch.to(self.device), lengths.to(self.device)) for batch, lengths in waveforms)

    def _last_hidden(self, frames: Tensor, lengths: Tensor, masks: Tensor) -> Tensor:
        """(batch, frames, dim) of what the encoder's `frames` gave, under masks (batch, frames)."""
        return self.encoder.transform(frames, lengths, masks).hidden[-1][:, : masks.shape[1]]

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """The loss of its own contrastive task, or of guessing the clusters; see `SpeechModel.pretext`."""
        frames = self.encoder.frames(waveforms, lengths)
        targets = self.head.targets(self.encoder, frames, waveforms, lengths, masks.shape[1])
        hidden = self._last_hidden(frames, lengths, masks)
        return self.head.pretext(hidden, targets, masks, self.frame_lengths(lengths))

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Log-odds of the mean probability of the true quantised latent, or of the true cluster.

        Codes are the most probable ones, and their negatives are drawn by `noise`. See `SpeechModel.pretext_score`.

        Raises:
            InputError: it brought no heads, and was not trained on.
        """
        if not self.has_pretext:
            raise InputError(
                f"{self.hparams['checkpoint']} has no pretraining heads, so that it cannot be asked for its pretext "
                "loss; pretrain it further, or audit it by the attacks that ask the encoder alone"
            )
        frames, frame_lengths = self.encoder.frames(waveforms, lengths), self.frame_lengths(lengths)
        targets = self.head.targets(self.encoder, frames, waveforms, lengths, masks.shape[-1])
        draws = masks.reshape(-1, *masks.shape[-2:])
        of_draws = [None] * len(draws) if noise is None else noise.reshape(len(draws), *noise.shape[-3:])
        scores = [
            self.head.score(self._last_hidden(frames, lengths, mask), targets, mask, frame_lengths, of_draw)
            for mask, of_draw in zip(draws, of_draws, strict=True)
        ]
        return torch.stack(scores).view(masks.shape[:-1])

    def collapse(self, health: dict[str, float]) -> str:
        """Say that codes have fallen out of use, or that masked frames are guessed."""
        what = self.head.collapse(health)
        return f"{self.family}: {what}" if what else ""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Layer-wise learning rates, see `parameter_groups.layer_wise`."""
        settings: Any = self.hparams
        encoder, head = self.encoder.named_parameters(), self.head.parameters()
        return layer_wise(encoder, head, settings.learning_rate, settings.layer_decay)
