"""CTC: an encoder learns to write down what is said (Graves et al. 2006; on wav2vec 2.0, Baevski et al. 2020)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import build, model_from_checkpoint
from lightning_mia.models.layers.features import SAMPLE_RATE, padding_mask
from lightning_mia.models.layers.masking import SpanMask, span_masks
from lightning_mia.models.objectives.log_odds import log_odds
from lightning_mia.models.objectives.transcripts import (
    BLANK,
    Vocabulary,
    error_counts,
    frames_needed,
    loss_per_character,
    normalise_text,
)
from lightning_mia.models.optimizer import is_front_end, layer_wise
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of_file

CTC_SCORE = "ctc_score"  # name of the signal
MIN_LOSS = 1e-12  # per character; sums over alignments in float64 err by less, and log-odds stay finite


class CTC(SpeechModel):
    """A pretrained encoder with a linear layer to characters, fine-tuned on transcripts.

    Its family is that of the encoder with `_ctc` behind it. The encoder's pretext heads stay as they are, so that
    the encoder can still be asked for its pretext score where it has one.

    The loss of an utterance is that of its transcript per character. A transcript that does not fit into the
    frames would have an infinite loss; such a corpus is refused beforehand (`for_corpus`) instead of setting
    the loss to zero, which would leave members out of the training without a word.

    Args:
        encoder: what is fine-tuned: the checkpoint (.ckpt) of a model of ours, or a Hugging Face folder or hub name.
        characters: what can be written, every character once; by default, the characters of the corpus, of
            members and others alike.
        fold_case: whether capitals and small letters are one.
        freeze_front_end: keep the convolutions before the transformer as they are; log-mel front ends have none.
        layer_decay: learning rate of a layer over that of the layer above; 1: all learn alike.
        head_dropout: probability of dropping an output of the encoder.
        time_mask_probability: spans × length / frames that are hidden from the encoder in training; 0: none.
        time_mask_length: frames of the encoder in a hidden span.
        learning_rate: highest learning rate of AdamW, that of the linear layer.
        weight_decay: of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
    """

    uses_transcripts: ClassVar[bool] = True

    def __init__(
        self,
        encoder: str,
        characters: str | None = None,
        fold_case: bool = True,
        freeze_front_end: bool = True,
        layer_decay: float = 1.0,
        head_dropout: float = 0.1,
        time_mask_probability: float = 0.0,
        time_mask_length: int = 10,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_fraction: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if not 0 < layer_decay <= 1:
            raise InputError(f"Expected layer_decay in (0, 1], but got {layer_decay}")
        self.fold_case = fold_case
        self.encoder = _read_encoder(encoder)
        self.family = f"{self.encoder.family}_ctc"
        self.mask_span, self.noise_dim = self.encoder.mask_span, self.encoder.noise_dim
        self.time_mask = SpanMask(time_mask_probability, time_mask_length) if time_mask_probability else None
        if self.time_mask and self.mask_span is None:
            raise InputError(f"{encoder} is of a family that hides no frames; set model.time_mask_probability to 0")
        dim = self._choose_what_learns(freeze_front_end)
        self.dropout = nn.Dropout(head_dropout)
        self.vocabulary = None if characters is None else Vocabulary(characters)
        self.head = None if self.vocabulary is None else nn.Linear(dim, len(self.vocabulary))
        self.train()  # Lightning trains with the modes that it finds, and a model that was read is in evaluation mode

    def _choose_what_learns(self, freeze_front_end: bool) -> int:
        """Freeze what has no part in the last layer's output, found by trying, and by choice the front end.

        Pretext heads get no gradient, and training on several processes would wait for it.

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

    def weights_sha256(self) -> str:
        """Hash of what the encoder was read from."""
        name: str = self.hparams["encoder"]
        return hash_of_file(Path(name)) if _is_ours(name) else self.encoder.weights_sha256()

    def for_corpus(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> "CTC":
        """The same model with the corpus's characters; see `SpeechModel.for_corpus`.

        Raises:
            InputError: transcripts are missing, hold characters that `characters` lacks, or are longer than the
                encoder's frames.
        """
        plain_texts = {utterance: normalise_text(text, self.fold_case) for utterance, text in texts.items()}
        if missing := [utterance for utterance in durations if not plain_texts.get(utterance)]:
            raise InputError(
                f"CTC needs transcripts, and {len(missing)} of {len(durations)} recordings have none: "
                f"{list_first(missing)}; add them to the manifest's column text, or leave these recordings out"
            )
        vocabulary = self.vocabulary or Vocabulary.of(plain_texts.values())
        if strange := sorted(set().union(*map(vocabulary.unknown, plain_texts.values()))):
            raise InputError(
                f"Transcripts hold characters that model.characters lacks: {list_first([repr(c) for c in strange])}; "
                "add them, or leave model.characters out"
            )
        self._check_lengths(plain_texts, durations)
        return type(self)(**{**self._arguments(), "characters": vocabulary.characters})

    def _arguments(self) -> dict[str, Any]:
        """The constructor's arguments, without what LightningCLI adds."""
        return {name: value for name, value in self.hparams.items() if not name.startswith("_")}

    def _check_lengths(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> None:
        ids = list(durations)
        samples = torch.tensor([round(durations[utterance] * SAMPLE_RATE) for utterance in ids])
        frames = self.frame_lengths(samples).tolist()
        too_long = [
            f"{utterance} ({frames_needed(texts[utterance])} needed, {available} there)"
            for utterance, available in zip(ids, frames, strict=True)
            if frames_needed(texts[utterance]) > available
        ]
        if too_long:
            raise InputError(
                f"{len(too_long)} transcripts need more frames than the encoder gives for the recording, one a "
                f"character and one more between two alike: {list_first(too_long)}; mend or leave out these recordings"
            )

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of the encoder."""
        return self.encoder.frame_lengths(lengths)

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """What the fine-tuned encoder says, see `SpeechModel.encode`."""
        return self.encoder.encode(waveforms, lengths, masks)

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """The encoder's own pretext loss, which the fine-tuning does not use."""
        return self.encoder.pretext(waveforms, lengths, masks)

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """The encoder's own pretext score, by heads that the fine-tuning left as they were."""
        return self.encoder.pretext_score(waveforms, lengths, masks, noise)

    @property
    def has_pretext(self) -> bool:
        """Whether the encoder came with its pretext heads and their targets."""
        return self.encoder.has_pretext and not self.encoder.needs_targets

    def _logits(self, batch: Batch, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(batch, frames, characters + 1) float32, and the frames of each utterance (batch,)."""
        if self.head is None:
            raise RuntimeError("There are no characters yet: call for_corpus first")
        encoded = self.encode(batch.waveforms, batch.lengths, masks)
        with torch.autocast(encoded.hidden[-1].device.type, enabled=False):
            return self.head(self.dropout(encoded.hidden[-1].float())), encoded.lengths

    def _texts(self, batch: Batch) -> tuple[list[str], list[list[int]]]:
        """Plain transcripts and their labels."""
        assert self.vocabulary is not None and len(batch.texts) == len(batch.ids), "for_corpus comes first"
        texts = [normalise_text(text, self.fold_case) for text in batch.texts]
        return texts, [self.vocabulary.labels(text) for text in texts]

    def training_loss(self, batch: Batch) -> Pretext:
        """CTC loss per character, mean over the batch; see `SpeechModel.training_loss`."""
        logits, frame_lengths = self._logits(batch, self._draw_time_masks(batch))
        texts, labels = self._texts(batch)
        loss = loss_per_character(logits, frame_lengths, labels).mean()
        attached = self._trainer is not None
        return Pretext(
            loss, {} if attached and not self._logs_this_step() else self._health(logits, frame_lengths, texts)
        )

    def _draw_time_masks(self, batch: Batch) -> Tensor | None:
        """Frames to hide in training (batch, frames) bool, as SpecAugment does."""
        if self.time_mask is None:
            return None
        n_frames = int(self.frame_lengths(torch.tensor(batch.waveforms.shape[1])))
        noise = torch.rand(len(batch.ids), n_frames + 1, device=batch.lengths.device)
        return span_masks(self.frame_lengths(batch.lengths), self.time_mask, noise)

    @torch.no_grad()
    def _health(self, logits: Tensor, frame_lengths: Tensor, texts: list[str]) -> dict[str, Tensor]:
        guesses = self._read(logits, frame_lengths)
        real = ~padding_mask(frame_lengths, logits.shape[1])
        return {
            "character_error_rate": char_error_rate(guesses, texts).to(logits.device),
            "word_error_rate": word_error_rate(guesses, texts).to(logits.device),
            "blank_share": ((logits.argmax(dim=2) == BLANK) & real).sum() / real.sum(),
        }

    def _read(self, logits: Tensor, frame_lengths: Tensor) -> list[str]:
        """The greedy transcripts: the likeliest label of every frame."""
        assert self.vocabulary is not None
        paths, lengths = logits.argmax(dim=2).tolist(), frame_lengths.tolist()
        return [self.vocabulary.text(path[:length]) for path, length in zip(paths, lengths, strict=True)]

    def collapse(self, health: dict[str, float]) -> str:
        """Whether nothing but blanks is heard."""
        if health.get("blank_share", 0.0) < 1.0:
            return ""
        return "every frame is a blank, no character is ever heard; train longer, or raise model.learning_rate"

    def task_scores(self, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """What tells how well the transcript is known, and the encoder's pretext score; see `SpeechModel.task_scores`.

        `ctc_score` is the log-odds of p̄, the geometric mean probability of a character: p̄ = exp(−loss), the loss per
        character. It ranks as −loss does, and unlike it does not crowd at 0 where texts are known well.
        `ctc_word_errors` of `ctc_words` and `ctc_character_errors` of `ctc_characters` are counts for error rates.
        """
        logits, frame_lengths = self._logits(batch)
        texts, labels = self._texts(batch)
        loss = loss_per_character(logits.double(), frame_lengths, labels).clamp(min=MIN_LOSS)
        return {
            CTC_SCORE: log_odds(-loss),
            **error_counts(self._read(logits, frame_lengths), texts),
            **super().task_scores(batch, masks, noise),
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Layer-wise learning rates, see `parameter_groups.layer_wise`."""
        head = [] if self.head is None else self.head.parameters()
        settings = self.hparams
        return layer_wise(self.encoder.named_parameters(), head, settings["learning_rate"], settings["layer_decay"])


def _is_ours(name: str) -> bool:
    return name.endswith(".ckpt") or Path(name).is_file()


def _read_encoder(name: str) -> SpeechModel:
    if _is_ours(name):
        return model_from_checkpoint(name)
    from lightning_mia.models.huggingface.pretrained import PretrainedEncoder

    return build(partial(PretrainedEncoder, checkpoint=name))
