"""Transcripts for CTC: vocabulary, loss per character, error counts."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.utilities.errors import InputError, list_first

BLANK = 0  # label of "no character here"


def normalise_text(text: str, fold_case: bool) -> str:
    """Normalise a transcript: single spaces, composed characters, optionally lower case.

    Example:
        >>> normalise_text("  Good\\tMorning ", fold_case=True)
        'good morning'
    """
    text = text.casefold() if fold_case else text
    return " ".join(unicodedata.normalize("NFC", text).split())


@dataclass(frozen=True)
class Vocabulary:
    """Characters and their labels.

    Label 0 is the blank; the characters follow in order.

    Attributes:
        characters: every character once; a space separates words.

    Example:
        >>> vocabulary = Vocabulary.from_texts(["two", "one"])
        >>> vocabulary.characters, vocabulary.labels("now")
        ('enotw', [2, 3, 5])
        >>> vocabulary.text([0, 4, 4, 0, 0, 5, 3, 0, 3])
        'twoo'
    """

    characters: str

    def __post_init__(self) -> None:
        """Validate the characters."""
        repeated = sorted({character for character in self.characters if self.characters.count(character) > 1})
        if repeated:
            raise InputError(f"model.characters repeats {list_first([repr(c) for c in repeated])}; give each once")

    @staticmethod
    def from_texts(texts: Iterable[str]) -> "Vocabulary":
        """Collect the characters of transcripts, sorted."""
        return Vocabulary("".join(sorted({character for text in texts for character in text})))

    @cached_property
    def _label_by_character(self) -> dict[str, int]:
        return {character: label for label, character in enumerate(self.characters, start=BLANK + 1)}

    def __len__(self) -> int:
        return len(self.characters) + 1

    def unknown(self, text: str) -> set[str]:
        """Return the characters of a transcript that have no label."""
        return set(text) - self._label_by_character.keys()

    def labels(self, text: str) -> list[int]:
        """Return one label per character; all characters must be known."""
        return [self._label_by_character[character] for character in text]

    def text(self, path: Sequence[int]) -> str:
        """Merge repeated labels, drop blanks, and return the text."""
        return "".join(self.characters[label - 1] for label, _ in groupby(path) if label != BLANK)


def frames_needed(text: Sequence[object]) -> int:
    """Count the frames that CTC needs.

    One per character, and a blank between repeats.

    Example:
        >>> frames_needed("hello")
        6
    """
    return len(text) + sum(first == second for first, second in pairwise(text))


def check_transcribed(texts: Mapping[str, str], ids: Iterable[str], user: str) -> None:
    """Refuse recordings without a transcript.

    Args:
        texts: normalised transcripts by recording id.
        ids: all recordings.
        user: what needs the transcripts, for the message.

    Raises:
        InputError: a recording has none.
    """
    ids = list(ids)
    if missing := [name for name in ids if not texts.get(name)]:
        raise InputError(
            f"{user} needs transcripts, and {len(missing)} of {len(ids)} recordings have none: {list_first(missing)}; "
            "add them to the manifest's column text, or leave these recordings out"
        )


def check_frames(labels: Mapping[str, Sequence[object]], frames: Mapping[str, int]) -> None:
    """Refuse transcripts that need more frames than the recording has.

    Args:
        labels: characters by recording id.
        frames: frames of the encoder by recording id.

    Raises:
        InputError: a transcript does not fit, and would have an infinite CTC loss.
    """
    needed = {name: frames_needed(sequence) for name, sequence in labels.items()}
    too_long = [
        f"{name} ({needed[name]} needed, {available} available)"
        for name, available in frames.items()
        if needed[name] > available
    ]
    if too_long:
        raise InputError(
            f"{len(too_long)} transcripts need more frames than the encoder has for the recording (one per "
            f"character and one more between repeats): {list_first(too_long)}; fix or leave out these recordings"
        )


def loss_per_character(
    logits: Tensor, frame_lengths: Tensor, labels: Sequence[Sequence[int]], blank: int = BLANK
) -> Tensor:
    """Compute the CTC loss of every utterance per character.

    It is infinite for a transcript that needs more frames than the utterance has.

    Args:
        logits: (batch, frames, characters + 1) float32 or float64.
        frame_lengths: (batch,) int64.
        labels: per utterance, without blanks, at least one.
        blank: label of the blank.

    Returns:
        (batch,) in the dtype of the logits.
    """
    n_labels = torch.tensor([len(sequence) for sequence in labels], device=logits.device)
    targets = nn.utils.rnn.pad_sequence([torch.tensor(sequence) for sequence in labels], batch_first=True)
    with torch.autocast(logits.device.type, enabled=False):
        log_probabilities = logits.log_softmax(dim=2).transpose(0, 1)  # (frames, batch, characters + 1)
        losses = F.ctc_loss(
            log_probabilities, targets.to(logits.device), frame_lengths, n_labels, blank=blank, reduction="none"
        )
    return losses / n_labels


def error_counts(guesses: Sequence[str], texts: Sequence[str]) -> dict[str, Tensor]:
    """Count edit errors and reference lengths.

    Both are counted in words and in characters.

    Args:
        guesses: decoded transcripts.
        texts: true transcripts, each of at least one word.

    Returns:
        (utterances,) float64 each, whole numbers.

    Example:
        >>> counts = error_counts(["good morning"], ["good evening"])
        >>> {name: count.item() for name, count in counts.items()}
        {'ctc_word_errors': 1.0, 'ctc_words': 2.0, 'ctc_character_errors': 3.0, 'ctc_characters': 12.0}
    """
    words = torch.tensor([len(text.split()) for text in texts], dtype=torch.float64)
    characters = torch.tensor([len(text) for text in texts], dtype=torch.float64)
    word_rates = torch.stack([word_error_rate(*pair) for pair in zip(guesses, texts, strict=True)])
    character_rates = torch.stack([char_error_rate(*pair) for pair in zip(guesses, texts, strict=True)])
    return {
        "ctc_word_errors": (word_rates * words).round(),
        "ctc_words": words,
        "ctc_character_errors": (character_rates * characters).round(),
        "ctc_characters": characters,
    }
