"""Pretrained speech encoders of Hugging Face's transformers."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.models.construction import build
from lightning_mia.models.huggingface import load_encoder
from lightning_mia.models.huggingface.checkpoint_folder import MASK_EMBEDDING, open_checkpoint
from lightning_mia.models.huggingface.contrastive_heads import ContrastiveHeads, has_contrastive_heads
from lightning_mia.models.huggingface.ctc_head import CTCHead
from lightning_mia.models.huggingface.heads import ClusterHead, TranscriptHead, is_recogniser
from lightning_mia.models.huggingface.hub import TOKENIZER
from lightning_mia.models.huggingface.whisper_decoder import WhisperDecoder
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.objectives.transcripts import check_transcribed
from lightning_mia.models.optimizer import is_front_end, layer_wise
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of, hash_of_file
from lightning_mia.utilities.ranges import Count, Positive, PositiveShare, Rate, Seed, Share, Weight, Width

log = logging.getLogger(__name__)

# Fixed position embeddings: the conformer's are not in its checkpoints, Whisper's are sinusoidal.
FIXED = {"wav2vec2-conformer": "pos_conv_embed", "whisper": "embed_positions"}


class PretrainedEncoder(SpeechModel):
    """Pretrained speech encoder of Hugging Face's transformers, in float32.

    Supports wav2vec 2.0, HuBERT, WavLM, Data2Vec-Audio, UniSpeech, UniSpeech-SAT, wav2vec2-conformer, wav2vec2-BERT,
    SEW and the encoder of Whisper, also from checkpoints with heads. Regardless of batching, the outputs equal, up to
    rounding, those of transformers for each recording alone with the checkpoint's preprocessor. An adapter
    (`add_adapter`), which shortens the sequence for a decoder, is left out.

    Pretraining can continue. A checkpoint of `Wav2Vec2ForPreTraining`, `Wav2Vec2ConformerForPreTraining` or
    `UniSpeechForPreTraining` holds the heads of its contrastive task, which is the pretext task here too; its pretext
    score is available at once. All others get a new head for HuBERT's task, which predicts the clusters of masked
    MFCC frames; the clusters are fitted on the training recordings. Their pretext score is available after training.

    With transcripts, a speech recogniser (CTC or Whisper) becomes a `PretrainedRecogniser`; see `for_corpus`.

    Args:
        checkpoint: folder with config.json, preprocessor_config.json and weights, or a name on the Hugging Face hub.
        revision: branch, tag or commit of a hub name.
        fresh: same configuration with random weights, for the untrained control.
        mask_probability: spans × length / frames; spans overlap (wav2vec 2.0: 0.65, HuBERT: 0.8).
        mask_length: frames per masked span (wav2vec 2.0 and HuBERT: 10).
        n_clusters: with a new head, number of k-means clusters, the targets (HuBERT: 100, then 500).
        code_dim: with a new head, dimension in which outputs and clusters are compared (HuBERT: 256).
        cluster_seed: with a new head, seed of the k-means.
        gumbel_temperature: with heads from the checkpoint, constant temperature of the Gumbel softmax in training
            (wav2vec 2.0: falling from 2 to 0.5 in base, and to 0.1 in large).
        diversity_weight: with heads from the checkpoint, weight of the diversity loss (wav2vec 2.0: 0.1).
        freeze_front_end: freeze the convolutions before the transformer; wav2vec2-BERT has none.
        layer_decay: ratio of a layer's learning rate to that of the layer above; 1: the same rate everywhere.
        learning_rate: peak learning rate of AdamW, that of the head (HuBERT and wav2vec 2.0 base: 5e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
        language: language of the transcripts, such as en, for Whisper; by default, what the checkpoint says.

    Example:
        >>> import tempfile
        >>> from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor
        >>> sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        >>> config = HubertConfig(hidden_size=16, conv_dim=(8,) * 7, num_conv_pos_embedding_groups=2, **sizes)
        >>> folder = tempfile.TemporaryDirectory()  # or a name such as "facebook/hubert-base-ls960"
        >>> HubertModel(config).save_pretrained(folder.name)
        >>> _ = Wav2Vec2FeatureExtractor().save_pretrained(folder.name)
        >>> model = PretrainedEncoder(folder.name).eval()
        >>> model.family, model.encode(torch.randn(1, 16_000), torch.tensor([16_000])).hidden[-1].shape  # 1 s
        ('hubert', torch.Size([1, 49, 16]))
    """

    files: ClassVar[tuple[str, ...]] = ("checkpoint",)
    step_passes: ClassVar[float] = 4.5  # measured on a CPU, as the next
    masked_pass: ClassVar[float] = 0.6

    def __init__(
        self,
        checkpoint: str,
        revision: str | None = None,
        fresh: bool = False,
        mask_probability: PositiveShare = 0.65,
        mask_length: Count = 10,
        n_clusters: Width = 100,
        code_dim: Width = 256,
        cluster_seed: Seed = 0,
        gumbel_temperature: Positive = 0.5,
        diversity_weight: Weight = 0.1,
        freeze_front_end: bool = False,
        layer_decay: PositiveShare = 1.0,
        learning_rate: Rate = 1e-4,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
        language: str | None = None,
    ) -> None:
        super().__init__()
        # Runs of earlier versions, which had no language, can be continued.
        self.save_hyperparameters(ignore=["language"] if language is None else [])
        self.mask_span: SpanMask = SpanMask(mask_probability, mask_length)
        self.encoder = load_encoder(checkpoint, revision, fresh)
        self.family = self.encoder.model.config.model_type
        self.is_pretrained = not fresh
        if language is not None and self.family != "whisper":
            raise InputError(f"model.language is {language}, but {checkpoint} is {self.family}: only Whisper has one")
        self.head: Any = self._make_head()  # a PretextHead, or a recogniser's TranscriptHead
        self.noise_dim = self.head.noise_dim
        self._freeze()

    def _freeze(self) -> None:
        """Freeze fixed parameters and, if asked for, the front end."""
        for name, parameter in self.encoder.named_parameters():
            fixed = FIXED.get(self.family) in name.split(".") or (
                self.uses_transcripts and name.endswith(MASK_EMBEDDING)
            )
            frozen: bool = fixed or (self.hparams["freeze_front_end"] and is_front_end(name))
            parameter.requires_grad = not frozen

    def _make_head(self) -> Any:
        settings: Any = self.hparams
        config = self.encoder.model.config
        if not has_contrastive_heads(config):
            return ClusterHead(self.encoder, settings.n_clusters, settings.code_dim, settings.cluster_seed)
        heads = ContrastiveHeads(config, settings.gumbel_temperature, settings.diversity_weight)
        if not settings.fresh:
            heads.read(open_checkpoint(settings.checkpoint, settings.revision))
        return heads

    def for_corpus(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> "PretrainedEncoder":
        """Return a `PretrainedRecogniser` if it is one and there are transcripts.

        Raises:
            InputError: the checkpoint is a recogniser that cannot score the transcripts.
        """
        if not is_recogniser(self.encoder.model.config):
            return self
        if not any(text.strip() for text in texts.values()):
            name = self.hparams["checkpoint"]
            log.warning("%s: no transcripts, so that only its encoder is attacked; add the manifest's text", name)
            return self
        recogniser = build(partial(PretrainedRecogniser, **constructor_arguments(self)))
        return recogniser.for_corpus(texts, durations)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of the encoder."""
        return self.encoder.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        The hidden states are the input of every block, then transformers' `last_hidden_state`. A masked frame is
        replaced by the mask embedding after the projection, or by zero if the checkpoint has none; in Whisper, its
        log-mel frames are set to zero.
        """
        return self.encoder(waveforms, lengths, masks)

    def encode_under(self, waveforms: Tensor, lengths: Tensor, masks: Iterable[Tensor]) -> Iterator[Encoded]:
        """Encode a batch under one mask after the other, with one pass through the convolutions."""
        return self.encoder.under(waveforms, lengths, masks)

    def _last_hidden(self, frames: Tensor, lengths: Tensor, masks: Tensor) -> Tensor:
        """Encode frames under masks; return the last hidden states.

        `frames` is the output of `encoder.frames`, `masks` is (batch, frames) bool; the result is (batch, frames, dim).
        """
        return self.encoder.transform(frames, lengths, masks).hidden[-1][:, : masks.shape[1]]

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` is available.

        True with heads from the checkpoint, and after training.
        """
        return not self.needs_targets

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true target's mean probability.

        Targets are quantised latents (of the most probable codes) or clusters; `noise` determines the negatives. See
        `SpeechModel.pretext_score`.

        Raises:
            InputError: the checkpoint has no heads, and the model was not trained further.
        """
        if not self.has_pretext:
            raise InputError(
                f"{self.hparams['checkpoint']} has no pretext heads, and so no pretext loss; pretrain it "
                "further, or audit it with attacks on the encoder alone"
            )
        frames, frame_lengths = self.encoder.frames(waveforms, lengths), self.frame_lengths(lengths)
        targets = self.head.targets(self.encoder, frames, waveforms, lengths, masks.shape[-1])
        draws = masks.reshape(-1, *masks.shape[-2:])
        noise_draws = [None] * len(draws) if noise is None else noise.reshape(len(draws), *noise.shape[-3:])
        scores = [
            self.head.score(self._last_hidden(frames, lengths, mask), targets, mask, frame_lengths, mask_noise)
            for mask, mask_noise in zip(draws, noise_draws, strict=True)
        ]
        return torch.stack(scores).view(masks.shape[:-1])

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute contrastive loss, or cross-entropy of the clusters; see `SpeechModel.pretext`."""
        frames = self.encoder.frames(waveforms, lengths)
        targets = self.head.targets(self.encoder, frames, waveforms, lengths, masks.shape[1])
        hidden = self._last_hidden(frames, lengths, masks)
        return self.head.pretext(hidden, targets, masks, self.frame_lengths(lengths))

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse of codebooks, clusters or predictions, if any."""
        reason = self.head.collapse(health)
        return f"{self.family}: {reason}" if reason else ""

    @property
    def needs_targets(self) -> bool:
        """Whether the clusters have yet to be fitted.

        False with heads from a checkpoint.
        """
        return self.head.needs_targets

    @property
    def learned_targets(self) -> nn.Module | None:
        """Clusters of a new head; None with heads from a checkpoint."""
        return self.head.learned_targets

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the clusters on the training recordings only.

        Clusters are learned from data, and can leak membership too.
        """
        self.head.fit_targets((batch.to(self.device), lengths.to(self.device)) for batch, lengths in waveforms)

    def settings_further(self, learning_rate: float) -> dict[str, Any]:
        """Freeze the front end of a large model; see `SpeechModel.settings_further`.

        It holds a twentieth of the weights of a base model, and costs more than all others in further training.
        """
        frozen = {"freeze_front_end": True} if self.is_large else {}
        return super().settings_further(learning_rate) | frozen

    def set_up_further(self, learning_rate: float) -> None:
        """Change the settings, see `SpeechModel.set_up_further`."""
        super().set_up_further(learning_rate)
        self._freeze()

    def freeze_encoder(self) -> None:
        """Freeze all parameters but those of the pretext head."""
        self.encoder.requires_grad_(False)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group parameters by layer-wise learning rates, see `optimizer.layer_wise`."""
        settings: Any = self.hparams
        encoder, head = self.encoder.named_parameters(), self.head.parameters()
        return layer_wise(encoder, head, settings.learning_rate, settings.layer_decay)

    def weights_sha256(self) -> str:
        """Hash the checkpoint's files; empty with random weights."""
        settings: Any = self.hparams
        return "" if settings.fresh else open_checkpoint(settings.checkpoint, settings.revision).sha256()

    def untrained(self) -> "PretrainedEncoder":
        """Return the same configuration with random weights."""
        return type(self)(**{**constructor_arguments(self), "fresh": True})


class PretrainedRecogniser(PretrainedEncoder):
    """Speech recogniser of Hugging Face's transformers, scored on given transcripts.

    A CTC checkpoint has a CTC score (`ctc_score`) with its own vocabulary, Whisper the score of its tokens given those
    before (`token_score`) with its own tokenizer. Further training minimises the same loss, with dropout but without
    masks. There is no pretext task.
    """

    uses_transcripts: ClassVar[bool] = True
    head: TranscriptHead

    def _make_head(self) -> TranscriptHead:
        settings: Any = self.hparams
        checkpoint = open_checkpoint(settings.checkpoint, settings.revision)
        if not is_recogniser(checkpoint.config):
            raise InputError(
                f"{checkpoint.name} is no speech recogniser; give a checkpoint of a CTC model or of Whisper"
            )
        head: TranscriptHead = (
            WhisperDecoder(checkpoint, settings.get("language"), settings.fresh)
            if self.family == "whisper"
            else CTCHead(checkpoint, settings.fresh)
        )
        self.task_score = head.score_name
        return head

    def for_corpus(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> "PretrainedRecogniser":
        """Check transcripts against the vocabulary; return the model.

        Raises:
            InputError: a transcript is missing, or cannot be scored.
        """
        stripped = {name: text.strip() for name, text in texts.items()}
        check_transcribed(stripped, durations, str(self.hparams["checkpoint"]))
        self.head.check(self.encoder, texts, durations)
        return self

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` is available: never."""
        return False

    def task_scores(self, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Score transcripts; see `SpeechModel.task_scores`."""
        return self.head.scores(self.encoder, batch)

    def training_loss(self, batch: Batch) -> Pretext:
        """Compute the mean loss per character or token."""
        return Pretext(self.head.loss(self.encoder, batch).mean().float(), {})

    def weights_sha256(self) -> str:
        """Hash the checkpoint's files with vocabulary and language; empty with random weights."""
        settings: Any = self.hparams
        folder = open_checkpoint(settings.checkpoint, settings.revision).folder
        files = {name: hash_of_file(folder / name) for name in TOKENIZER if (folder / name).is_file()}
        return hash_of([sha256, files, settings.get("language")]) if (sha256 := super().weights_sha256()) else ""
