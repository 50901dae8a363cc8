"""CTC fine-tuning (Graves et al. 2006; Baevski et al. 2020)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments, model_from_checkpoint
from lightning_mia.models.construction import build
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.layers.masking import SpanMask, draw_span_masks
from lightning_mia.models.objectives.log_odds import log_odds_of_loss
from lightning_mia.models.objectives.transcripts import (
    BLANK,
    Vocabulary,
    check_frames,
    check_transcribed,
    error_counts,
    loss_per_character,
    normalise_text,
)
from lightning_mia.models.optimizer import is_front_end, layer_wise
from lightning_mia.models.outputs import CTC_SCORE, Encoded, Pretext
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of_file
from lightning_mia.utilities.ranges import Count, Dropout, PositiveShare, Rate, Share, Weight


class CTC(SpeechModel):
    """Pretrained encoder, fine-tuned with CTC on transcripts.

    A linear layer maps the last hidden states to characters. The family is that of the encoder with the suffix `_ctc`.
    The encoder's pretext heads stay unchanged, so that its pretext score, if it has one, remains available.

    The loss of a recording is its CTC loss per character. A transcript that does not fit into the frames would have an
    infinite loss; `for_corpus` refuses such a corpus, since setting the loss to zero would silently exclude members
    from the training.

    Args:
        encoder: encoder to fine-tune: a checkpoint (.ckpt) of one of our models, or a Hugging Face folder or hub name.
        characters: characters of the transcripts, each once; by default those of the corpus, members and non-members.
        fold_case: ignore case.
        freeze_front_end: freeze the convolutions before the transformer, if any.
        layer_decay: ratio of a layer's learning rate to that of the layer above; 1: the same rate everywhere.
        head_dropout: probability of dropping an output of the encoder.
        time_mask_probability: spans × length / frames, for the spans masked in training; 0: none.
        time_mask_length: frames of the encoder per masked span.
        learning_rate: peak learning rate of AdamW, that of the linear layer.
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.

    Example:
        >>> import tempfile
        >>> from lightning_mia.models import TERA
        >>> encoder, folder = TERA(dim=16, n_heads=2, feedforward_dim=32), tempfile.TemporaryDirectory()
        >>> checkpoint = {"state_dict": encoder.state_dict(), "hyper_parameters": dict(encoder.hparams)}
        >>> encoder.on_save_checkpoint(checkpoint)  # as the Trainer does
        >>> torch.save(checkpoint, f"{folder.name}/tera.ckpt")
        >>> model = CTC(f"{folder.name}/tera.ckpt").for_corpus({"a": "good morning"}, {"a": 1.5}).eval()
        >>> model.family, model.vocabulary.characters
        ('tera_ctc', ' dgimnor')
        >>> model.encode(torch.randn(1, 16_000), torch.tensor([16_000])).hidden[-1].shape  # 1 s
        torch.Size([1, 98, 16])
    """

    uses_transcripts: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = ("encoder",)
    task_score = CTC_SCORE

    def __init__(
        self,
        encoder: str,
        characters: str | None = None,
        fold_case: bool = True,
        freeze_front_end: bool = True,
        layer_decay: PositiveShare = 1.0,
        head_dropout: Dropout = 0.1,
        time_mask_probability: Share = 0.0,
        time_mask_length: Count = 10,
        learning_rate: Rate = 1e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.fold_case = fold_case
        self.encoder = _read_encoder(encoder)
        self.family = f"{self.encoder.family}_ctc"
        self.mask_span, self.noise_dim = self.encoder.mask_span, self.encoder.noise_dim
        self.time_mask = SpanMask(time_mask_probability, time_mask_length) if time_mask_probability else None
        if self.time_mask and self.mask_span is None:
            raise InputError(f"The family of {encoder} hides no frames; set model.time_mask_probability to 0")
        dim = self._freeze_parameters(freeze_front_end)
        self.dropout = nn.Dropout(head_dropout)
        self.vocabulary = None if characters is None else Vocabulary(characters)
        self.head = None if self.vocabulary is None else nn.Linear(dim, len(self.vocabulary))
        self.train()  # Lightning keeps the modes of submodules, and a loaded encoder is in evaluation mode

    def _freeze_parameters(self, freeze_front_end: bool) -> int:
        """Freeze parameters without gradient, and optionally the front end.

        A trial pass finds parameters that the last layer's output does not depend on, such as pretext heads: training
        on several processes would wait for their gradients.

        Returns:
            Width of the last layer.
        """
        waveforms, lengths = torch.zeros(1, SAMPLE_RATE // 2), torch.tensor([SAMPLE_RATE // 2])
        frames = int(self.frame_lengths(lengths))
        masks = torch.arange(frames).unsqueeze(0) < frames // 2 if self.time_mask else None
        with torch.enable_grad():
            hidden = self.encoder.eval().encode(waveforms, lengths, masks).hidden[-1]  # (1, frames, dim)
            named = {name: parameter for name, parameter in self.encoder.named_parameters() if parameter.requires_grad}
            gradients = torch.autograd.grad(hidden.sum(), list(named.values()), allow_unused=True)
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True):
            parameter.requires_grad = gradient is not None and not (freeze_front_end and is_front_end(name))
        return hidden.shape[2]

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of the encoder."""
        return self.encoder.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch with the fine-tuned encoder, see `SpeechModel.encode`."""
        return self.encoder.encode(waveforms, lengths, masks)

    def _logits(self, batch: Batch, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Compute logits and frame lengths.

        (batch, frames, characters + 1) float32 and (batch,) int64.
        """
        if self.head is None:
            raise InputError(
                "CTC has no characters: give `characters`, or call `for_corpus` with the transcripts, which returns a "
                "model that has them"
            )
        encoded = self.encode(batch.waveforms, batch.lengths, masks)
        with torch.autocast(encoded.hidden[-1].device.type, enabled=False):
            return self.head(self.dropout(encoded.hidden[-1].float())), encoded.lengths

    def _texts(self, batch: Batch) -> tuple[list[str], list[list[int]]]:
        """Return normalised transcripts and their labels."""
        assert self.vocabulary is not None
        if len(batch.texts) != len(batch.ids):
            raise InputError("CTC is trained on transcripts: give each `Batch` its `texts`, one per recording")
        texts = [normalise_text(text, self.fold_case) for text in batch.texts]
        return texts, [self.vocabulary.labels(text) for text in texts]

    def task_scores(self, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Score transcripts, and the encoder's pretext task; see `SpeechModel.task_scores`.

        `ctc_score` is the log-odds of p̄ = exp(−loss per character), the geometric mean probability of a character. It
        ranks as −loss does, but does not saturate at 0 for well-learned texts. `ctc_word_errors` of `ctc_words` and
        `ctc_character_errors` of `ctc_characters` are counts for error rates.
        """
        logits, frame_lengths = self._logits(batch)
        texts, labels = self._texts(batch)
        return {
            CTC_SCORE: log_odds_of_loss(loss_per_character(logits.double(), frame_lengths, labels)),
            **error_counts(self._decode(logits, frame_lengths), texts),
            **super().task_scores(batch, masks, noise),
        }

    @property
    def has_pretext(self) -> bool:
        """Whether the encoder has pretext heads and their targets."""
        return self.encoder.has_pretext and not self.encoder.needs_targets

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the encoder's pretext score; fine-tuning left its heads unchanged."""
        return self.encoder.pretext_score(waveforms, lengths, masks, noise)

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the encoder's pretext loss, which fine-tuning does not use."""
        return self.encoder.pretext(waveforms, lengths, masks)

    def training_loss(self, batch: Batch) -> Pretext:
        """Compute the mean CTC loss per character; see `SpeechModel.training_loss`."""
        logits, frame_lengths = self._logits(batch, self._draw_time_masks(batch))
        texts, labels = self._texts(batch)
        loss = loss_per_character(logits, frame_lengths, labels).mean()
        needs_health = self._trainer is None or self._logs_this_step()  # error rates take time
        return Pretext(loss, self._health(logits, frame_lengths, texts) if needs_health else {})

    def _draw_time_masks(self, batch: Batch) -> Tensor | None:
        """Draw frames to hide in training, (batch, frames) bool."""
        if self.time_mask is None:
            return None
        n_frames = int(self.frame_lengths(torch.tensor(batch.waveforms.shape[1])))
        noise = torch.rand(len(batch.ids), n_frames + 1, device=batch.lengths.device)
        return draw_span_masks(self.frame_lengths(batch.lengths), self.time_mask, noise)

    @torch.no_grad()
    def _health(self, logits: Tensor, frame_lengths: Tensor, texts: list[str]) -> dict[str, Tensor]:
        guesses = self._decode(logits, frame_lengths)
        real = ~padding_mask(frame_lengths, logits.shape[1])
        return {
            "character_error_rate": char_error_rate(guesses, texts).to(logits.device),
            "word_error_rate": word_error_rate(guesses, texts).to(logits.device),
            "blank_share": ((logits.argmax(dim=2) == BLANK) & real).sum() / real.sum(),
        }

    def _decode(self, logits: Tensor, frame_lengths: Tensor) -> list[str]:
        """Decode greedily, by the most probable label of every frame."""
        assert self.vocabulary is not None
        paths, lengths = logits.argmax(dim=2).tolist(), frame_lengths.tolist()
        return [self.vocabulary.text(path[:length]) for path, length in zip(paths, lengths, strict=True)]

    def collapse(self, health: dict[str, float]) -> str:
        """Describe an output of blanks only, if any."""
        if health.get("blank_share", 0.0) < 1.0:
            return ""
        return "the model outputs only blanks; train longer, or raise model.learning_rate"

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group parameters by layer-wise learning rates, see `optimizer.layer_wise`."""
        head = [] if self.head is None else self.head.parameters()
        settings = self.hparams
        return layer_wise(self.encoder.named_parameters(), head, settings["learning_rate"], settings["layer_decay"])

    def for_corpus(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> "CTC":
        """Return the model with the characters of the corpus.

        Raises:
            InputError: a transcript is missing, holds a character not in `characters`, or needs more frames than the
                encoder has.
        """
        normalised = {utterance: normalise_text(text, self.fold_case) for utterance, text in texts.items()}
        check_transcribed(normalised, durations, "CTC")
        vocabulary = self.vocabulary or Vocabulary.from_texts(normalised.values())
        if unknown := sorted(set().union(*map(vocabulary.unknown, normalised.values()))):
            raise InputError(
                f"Transcripts hold characters that model.characters lacks: {list_first([repr(c) for c in unknown])}; "
                "add them, or leave model.characters out"
            )
        samples = torch.tensor([round(seconds * SAMPLE_RATE) for seconds in durations.values()])
        check_frames(normalised, dict(zip(durations, self.frame_lengths(samples).tolist(), strict=True)))
        return type(self)(**{**constructor_arguments(self), "characters": vocabulary.characters})

    def weights_sha256(self) -> str:
        """Hash the encoder's checkpoint."""
        name: str = self.hparams["encoder"]
        return hash_of_file(Path(name)) if _is_lightning_checkpoint(name) else self.encoder.weights_sha256()


def _is_lightning_checkpoint(name: str) -> bool:
    return name.endswith(".ckpt") or Path(name).is_file()


def _read_encoder(name: str) -> SpeechModel:
    if _is_lightning_checkpoint(name):
        return model_from_checkpoint(name)
    from lightning_mia.models.huggingface.pretrained import PretrainedEncoder

    return build(partial(PretrainedEncoder, checkpoint=name))
