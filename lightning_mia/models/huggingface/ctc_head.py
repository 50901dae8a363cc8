"""CTC outputs of transformers checkpoints, with their own vocabulary."""

import copy
import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.huggingface.checkpoint_folder import Checkpoint, quiet
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder, Wav2Vec2Encoder
from lightning_mia.models.huggingface.encoders import Wav2Vec2Bert
from lightning_mia.models.huggingface.heads import TranscriptHead, load_head
from lightning_mia.models.huggingface.hub import one_line, read_json
from lightning_mia.models.layers.features import padding_mask
from lightning_mia.models.objectives.log_odds import log_odds_of_loss
from lightning_mia.models.objectives.transcripts import check_frames, error_counts, loss_per_character, normalise_text
from lightning_mia.models.outputs import CTC_SCORE
from lightning_mia.utilities.errors import InputError, list_first

log = logging.getLogger(__name__)

TOKENIZERS = (None, "Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer")  # the last is an earlier name of the same


class CTCHead(TranscriptHead):
    """Linear layer and vocabulary of a CTC checkpoint.

    Losses equal those of transformers for the recording alone. They include the final frames that SEW sets to zero.

    Args:
        checkpoint: configuration, vocabulary and weights.
        fresh: keep random weights.

    Raises:
        InputError: the checkpoint has no usable vocabulary or output layer.
    """

    score_name = CTC_SCORE

    def __init__(self, checkpoint: Checkpoint, fresh: bool) -> None:
        super().__init__()
        self.vocabulary = CheckpointVocabulary(checkpoint)
        config, adapted = checkpoint.config, _with_adapter(checkpoint)
        self.adapter, self.intermediate_ffn = adapted.adapter, adapted.intermediate_ffn
        self.dropout = nn.Dropout(config.final_dropout)
        width = config.hidden_size if self.adapter is None else config.output_hidden_size
        self.lm_head = nn.Linear(width, config.vocab_size)
        if not fresh:
            load_head(self, checkpoint, "CTC output is", f"{adapted.prefix}.")

    def check(self, encoder: HuggingFaceEncoder, texts: Mapping[str, str], durations: Mapping[str, float]) -> None:
        """Compare transcripts with the vocabulary and the frames."""
        self.vocabulary.check({name: texts[name] for name in durations})
        samples = torch.tensor([round(seconds * SAMPLE_RATE) for seconds in durations.values()])
        labels = {name: self.vocabulary.labels(texts[name]) for name in durations}
        check_frames(labels, dict(zip(durations, self._n_frames(encoder, samples).tolist(), strict=True)))

    def _n_frames(self, encoder: HuggingFaceEncoder, lengths: Tensor) -> Tensor:
        """Samples → frames with characters, including those that SEW sets to zero."""
        assert isinstance(encoder, Wav2Vec2Encoder)
        if self.adapter is None:
            return encoder.all_frames(lengths)
        inputs = encoder.frame_lengths(lengths) if isinstance(encoder, Wav2Vec2Bert) else lengths
        frames: Tensor = encoder.model._get_feat_extract_output_lengths(inputs, add_adapter=True)
        return frames

    def _logits(self, encoder: HuggingFaceEncoder, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute logits and frame lengths, (batch, frames, vocabulary) float32 and (batch,) int64."""
        frames, lengths = encoder.frames(batch.waveforms, batch.lengths), self._n_frames(encoder, batch.lengths)
        n_frames = int(lengths.max())
        if self.adapter is None:
            hidden = encoder.transform(frames, batch.lengths).hidden[-1].float()
            hidden = F.pad(hidden, (0, 0, 0, max(0, n_frames - hidden.shape[1])))[:, :n_frames]
            hidden = hidden.masked_fill(padding_mask(encoder.frame_lengths(batch.lengths), n_frames).unsqueeze(2), 0.0)
        else:
            rows = range(len(batch.ids))
            single = [self._adapted(encoder, frames[[row]], batch.lengths[[row]])[:n_frames] for row in rows]
            hidden = nn.utils.rnn.pad_sequence(single, batch_first=True)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.lm_head(self.dropout(hidden)), lengths

    def _adapted(self, encoder: HuggingFaceEncoder, frames: Tensor, length: Tensor) -> Tensor:
        """Encode a single recording with the adapter, whose convolutions would read padding.

        (1, frames, channels), (1,) samples → (frames of the adapter, dim) float32.
        """
        assert isinstance(encoder, Wav2Vec2Encoder) and self.adapter is not None
        real, half = int(encoder.frame_lengths(length)), 0
        if isinstance(encoder, Wav2Vec2Bert):  # the adapter reads its last half frame, too
            half = int(encoder.half_frames(length))
        hidden = encoder.transform_together(F.pad(frames[:, :real], (0, 0, 0, half)), length).hidden[-1].float()
        with torch.autocast(hidden.device.type, enabled=False):
            if self.intermediate_ffn is not None:
                hidden = hidden + 0.5 * self.intermediate_ffn(hidden)
            mask = torch.arange(real + half, device=hidden.device).unsqueeze(0) < real
            adapted: Tensor = self.adapter(hidden, **({"attention_mask": mask} if half else {}))
            return adapted[0]

    def _losses(self, logits: Tensor, frame_lengths: Tensor, texts: Sequence[str]) -> Tensor:
        labels = [self.vocabulary.labels(text) for text in texts]
        return loss_per_character(logits, frame_lengths, labels, self.vocabulary.blank)

    def loss(self, encoder: HuggingFaceEncoder, batch: Batch) -> Tensor:
        """Compute the CTC loss of every transcript per character, (batch,) float32."""
        return self._losses(*self._logits(encoder, batch), batch.texts)

    def scores(self, encoder: HuggingFaceEncoder, batch: Batch) -> dict[str, Tensor]:
        """Score transcripts and count errors, as `CTC.task_scores`."""
        logits, lengths = self._logits(encoder, batch)
        paths = logits.argmax(dim=2).tolist()
        guesses = [self.vocabulary.text(path[:length]) for path, length in zip(paths, lengths.tolist(), strict=True)]
        texts = [self.vocabulary.normalise(text) for text in batch.texts]
        score = log_odds_of_loss(self._losses(logits.double(), lengths, batch.texts))
        return {CTC_SCORE: score, **error_counts(guesses, texts)}


class CheckpointVocabulary:
    """Vocabulary of a CTC checkpoint.

    Transcripts are written in its case, with its word delimiter; a character that it lacks is its unknown token.

    Args:
        checkpoint: configuration and folder.

    Raises:
        InputError: there is no vocabulary, or it does not fit the configuration.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.name, self.size = checkpoint.name, int(checkpoint.config.vocab_size or 0)
        self.blank: int = checkpoint.config.pad_token_id
        self._tokenizer, self._delimiter = _tokenizer(checkpoint)
        characters: dict[str, int] = self._tokenizer.encoder
        if not all(isinstance(label, int) for label in characters.values()):
            raise InputError(f"vocab.json of {self.name} is not a table of characters and labels; download it again")
        self._labels: dict[str, int] = {**self._tokenizer.added_tokens_encoder, **characters}
        self._characters = {label: token for token, label in self._labels.items()}
        if self._characters.get(self.blank) != self._tokenizer.pad_token:
            raise InputError(
                f"config.json of {self.name} has the blank {self.blank} (pad_token_id), but its vocabulary "
                f"{self._labels.get(self._tokenizer.pad_token)}; take both files from the same model"
            )
        if (largest := max(characters.values(), default=0)) >= self.size:
            raise InputError(
                f"The vocabulary of {self.name} has the label {largest}, but its output only {self.size} labels; take "
                "both files from the same model"
            )
        self.special = {
            token
            for token in (getattr(self._tokenizer, f"{kind}_token") for kind in ("pad", "bos", "eos", "unk"))
            if token is not None
        }
        unknown = self._labels.get(self._tokenizer.unk_token, self.size)
        self._unknown = unknown if unknown < self.size else None
        self._cases = {_case(character) for token in self._regular() for character in token} - {""}

    def _regular(self) -> set[str]:
        """Characters of transcripts, without the word delimiter."""
        return self._labels.keys() - self.special - {self._delimiter}

    def normalise(self, text: str) -> str:
        """Write a transcript in the case of the vocabulary, with single spaces."""
        text = normalise_text(text, fold_case=False)
        if len(self._cases) != 1:
            return text
        return text.upper() if self._cases == {"upper"} else text.lower()

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = self._tokenizer.tokenize(self.normalise(text).replace(" ", self._delimiter))
        return tokens

    def labels(self, text: str) -> list[int]:
        """Return one label per character."""
        labels = [self._labels.get(token, self._unknown) for token in self._tokens(text)]
        return [label for label in labels if label is not None]

    def text(self, path: Sequence[int]) -> str:
        """Merge repeated labels, drop blanks and other special tokens."""
        tokens = [self._characters.get(label, "") for label, _ in groupby(path)]
        text = "".join(token for token in tokens if token not in self.special)
        return " ".join(text.replace(self._delimiter, " ").split())

    def check(self, texts: Mapping[str, str]) -> None:
        """Compare the characters of transcripts with the vocabulary, both ways.

        Raises:
            InputError: the vocabulary lacks most characters, or some and has no unknown token.
        """
        tokens = {name: self._tokens(text) for name, text in texts.items()}
        lacking = {name for name, sequence in tokens.items() if not self._labels.keys() >= set(sequence)}
        unknown = [token for sequence in tokens.values() for token in sequence if token not in self._labels]
        if unknown:
            total = sum(map(len, tokens.values()))
            problem = (
                f"{len(lacking)} of {len(texts)} transcripts hold {len(unknown)} of {total} characters that the "
                f"vocabulary of {self.name} lacks: {_quoted(unknown)}"
            )
            if self._unknown is None or 2 * len(unknown) > total:
                raise InputError(f"{problem}; give transcripts in its language and script, or leave them out")
            log.warning("%s; they count as its unknown token %s", problem, self._tokenizer.unk_token)
        regular = self._regular()
        if unused := regular.difference(*tokens.values()):
            share = f"{len(unused)} of {len(regular)} characters of {self.name}"
            log.info("%s occur in no transcript: %s", share, _quoted(unused))


class _Adapted(NamedTuple):
    """Modules between encoder and output, with random weights."""

    adapter: nn.Module | None
    intermediate_ffn: nn.Module | None
    prefix: str  # of the names of their weights


def _with_adapter(checkpoint: Checkpoint) -> _Adapted:
    """Create the adapter of a checkpoint, which the bare encoder lacks."""
    from transformers import MODEL_MAPPING

    config, stored = copy.deepcopy(checkpoint.config), read_json(checkpoint.folder / "config.json", "")
    for setting in ("add_adapter", "use_intermediate_ffn_before_adapter"):
        setattr(config, setting, bool(stored.get(setting)))
    model_class: Any = MODEL_MAPPING[type(config)]
    if not config.add_adapter:
        return _Adapted(None, None, model_class.base_model_prefix)
    with torch.device("meta"):
        model = model_class(config)
    ffn = type(model.intermediate_ffn)(config, act_fn="relu") if getattr(model, "intermediate_ffn", None) else None
    return _Adapted(type(model.adapter)(config), ffn, model_class.base_model_prefix)


def _tokenizer(checkpoint: Checkpoint) -> tuple[Any, str]:
    """Load the tokenizer and its word delimiter."""
    from transformers import Wav2Vec2CTCTokenizer

    if not (checkpoint.folder / "vocab.json").is_file():
        raise InputError(
            f"{checkpoint.name} has no vocabulary: vocab.json is missing; save its processor into the folder "
            "(`AutoProcessor.from_pretrained(…).save_pretrained`), or leave out the transcripts to audit its encoder"
        )
    path = checkpoint.folder / "tokenizer_config.json"
    settings = read_json(path, "") if path.is_file() else {}
    if (kind := settings.get("tokenizer_class")) not in TOKENIZERS:
        raise InputError(
            f"The tokenizer of {checkpoint.name} is a {kind}, but only Wav2Vec2CTCTokenizer is supported; leave out "
            "the transcripts to audit its encoder"
        )
    try:
        with quiet():
            tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # invalid JSON, unusable settings
        raise InputError(f"The vocabulary of {checkpoint.name} cannot be used: {one_line(error)}") from error
    tokenizer.do_lower_case = False  # it would write upper case, even if the vocabulary is lower case
    # Read here, because transformers 5 drops this setting when it loads a tokenizer.
    delimiter = settings.get("word_delimiter_token", "|")
    return tokenizer, (delimiter["content"] if isinstance(delimiter, dict) else delimiter) or " "


def _case(character: str) -> str:
    if character.lower() == character.upper():
        return ""
    return "upper" if character == character.upper() else "lower"


def _quoted(characters: Iterable[str]) -> str:
    return list_first([repr(character) for character in sorted(set(characters))], 10)
