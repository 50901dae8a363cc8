"""Decoder of Whisper, which scores given transcripts."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.huggingface.checkpoint_folder import Checkpoint, load_weights, quiet
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.heads import TranscriptHead
from lightning_mia.models.huggingface.hub import one_line, read_json
from lightning_mia.models.objectives.log_odds import log_odds_of_loss
from lightning_mia.models.objectives.transcripts import normalise_text
from lightning_mia.models.outputs import TOKEN_SCORE
from lightning_mia.utilities.errors import InputError, list_first

log = logging.getLogger(__name__)

START = "<|startoftranscript|>"
STORED = ("is_multilingual", "lang_to_id", "language", "task")  # settings of a checkpoint
ENGLISH_ONLY_BELOW = 51_865  # size of the vocabulary, as in Whisper's code


class WhisperDecoder(TranscriptHead):
    """Decoder of Whisper, which predicts every token from the true ones before.

    The loss is Whisper's in training: the mean over language, task, text and end token. It equals that of transformers
    with the labels of the checkpoint's tokenizer, without the start token.

    Args:
        checkpoint: configuration, tokenizer and weights.
        language: language of the transcripts; None: as the checkpoint says.
        fresh: draw random weights.

    Raises:
        InputError: the checkpoint has no usable tokenizer or decoder, or not this language.
    """

    score_name = TOKEN_SCORE

    def __init__(self, checkpoint: Checkpoint, language: str | None, fresh: bool) -> None:
        from transformers import WhisperForConditionalGeneration

        super().__init__()
        self.name, self.tokenizer = checkpoint.name, _tokenizer(checkpoint, language)
        self.start: int = checkpoint.config.decoder_start_token_id
        self.max_tokens = int(checkpoint.config.max_target_positions)
        whole = load_weights(checkpoint, WhisperForConditionalGeneration, fresh)
        self.decoder, self.output = whole.model.decoder, whole.proj_out
        labels = self._labels("a")
        if self.tokenizer("a").input_ids[0] != self.start or max(labels) >= self.output.out_features:
            raise InputError(
                f"The tokenizer of {self.name} does not fit its config.json; take both from the same model"
            )

    def _labels(self, text: str) -> list[int]:
        labels: list[int] = self.tokenizer(normalise_text(text, fold_case=False)).input_ids
        return labels[1:]

    def check(self, encoder: HuggingFaceEncoder, texts: Mapping[str, str], durations: Mapping[str, float]) -> None:
        """Compare transcripts and recordings with the longest that Whisper takes."""
        counts = {name: len(self._labels(texts[name])) for name in durations}
        if too_long := [f"{name} ({count})" for name, count in counts.items() if count > self.max_tokens]:
            raise InputError(
                f"{len(too_long)} transcripts have more than the {self.max_tokens} tokens that {self.name} takes: "
                f"{list_first(too_long)}; leave out these recordings"
            )
        longest = encoder.log_mel.n_samples / SAMPLE_RATE  # type: ignore[union-attr, operator]
        if cut := [name for name, seconds in durations.items() if seconds > longest]:
            log.warning(
                "%s takes %g s, so that %d transcripts are scored with the beginning of their recordings alone: %s",
                *(self.name, longest, len(cut), list_first(cut)),
            )

    def loss(self, encoder: HuggingFaceEncoder, batch: Batch) -> Tensor:
        """Compute the loss of every transcript per token, (batch,) float64."""
        labels = [self._labels(text) for text in batch.texts]
        device = batch.waveforms.device
        inputs = [torch.tensor([self.start, *sequence[:-1]], device=device) for sequence in labels]
        # Tokens attend to those before them, so that the value of the padding does not matter.
        padded = nn.utils.rnn.pad_sequence(inputs, batch_first=True)
        heard = encoder.transform(encoder.frames(batch.waveforms, batch.lengths), batch.lengths).hidden[-1]
        hidden = self.decoder(padded, encoder_hidden_states=heard, use_cache=False).last_hidden_state
        return torch.stack([self._loss(states, sequence) for states, sequence in zip(hidden, labels, strict=True)])

    def _loss(self, hidden: Tensor, labels: Sequence[int]) -> Tensor:
        """(tokens, dim), labels → () float64."""
        with torch.autocast(hidden.device.type, enabled=False):
            logits = self.output(hidden[: len(labels)].float())  # (tokens, vocabulary)
            return F.cross_entropy(logits.double(), torch.tensor(labels, device=hidden.device))

    def scores(self, encoder: HuggingFaceEncoder, batch: Batch) -> dict[str, Tensor]:
        """Return the log-odds of a token's geometric mean probability."""
        return {TOKEN_SCORE: log_odds_of_loss(self.loss(encoder, batch))}


def _tokenizer(checkpoint: Checkpoint, language: str | None) -> Any:
    """Load the tokenizer, set to language and task."""
    from transformers import WhisperTokenizer

    folder = checkpoint.folder
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise InputError(
            f"{checkpoint.name} has no vocabulary: neither tokenizer.json nor vocab.json; save its processor into the "
            "folder (`AutoProcessor.from_pretrained(…).save_pretrained`), or leave out the transcripts to audit its "
            "encoder"
        )
    stored = _stored_settings(folder)
    try:
        with quiet():
            unset: dict[str, Any] = {"language": None, "task": None, "predict_timestamps": False}
            tokenizer = WhisperTokenizer.from_pretrained(folder, local_files_only=True, **unset)
    except Exception as error:  # invalid JSON, unusable settings
        raise InputError(f"The vocabulary of {checkpoint.name} cannot be used: {one_line(error)}") from error
    if START not in tokenizer.get_vocab():
        raise InputError(f"The tokenizer of {checkpoint.name} is not Whisper's: it lacks {START}; take its own")
    if stored.get("is_multilingual", len(tokenizer) >= ENGLISH_ONLY_BELOW):
        code = _language_code(checkpoint.name, tokenizer, language or stored.get("language"), stored.get("lang_to_id"))
        tokenizer.set_prefix_tokens(language=code, task=stored.get("task") or "transcribe")
    elif language not in (None, "en", "english"):
        raise InputError(f"{checkpoint.name} transcribes English only; leave out model.language={language}")
    return tokenizer


def _stored_settings(folder: Path) -> dict[str, Any]:
    """Read language and task of a checkpoint; those of the tokenizer, which made the labels, come first."""
    stored: dict[str, Any] = {}
    for file in ("generation_config.json", "tokenizer_config.json"):
        if (folder / file).is_file():
            settings = read_json(folder / file, "")
            stored |= {key: settings[key] for key in STORED if settings.get(key) is not None}
    return stored


def _language_code(name: str, tokenizer: Any, language: str | None, allowed: Mapping[str, int] | None) -> str:
    """Return the code of a language that the checkpoint knows."""
    from transformers.models.whisper.tokenization_whisper import LANGUAGES, TO_LANGUAGE_CODE

    vocabulary: dict[str, int] = tokenizer.get_vocab()
    first = vocabulary[START] + 1
    known = [code for number, code in enumerate(LANGUAGES) if vocabulary.get(f"<|{code}|>") == first + number]
    known = [code for code in known if not allowed or f"<|{code}|>" in allowed]
    if language is None:
        raise InputError(
            f"{name} transcribes {len(known)} languages and does not say which one: give --model.language, such as "
            f"{known[0] if known else 'en'}"
        )
    code = str(TO_LANGUAGE_CODE.get(language.lower().strip("<|>"), language.lower().strip("<|>")))
    if code not in known:
        raise InputError(f"{name} does not know the language {language}; its languages are {list_first(known, 10)}")
    return code
