"""The characters of transcripts, as CTC sees them."""

import unicodedata
from collections.abc import Iterable, Sequence
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
    """A transcript as it is compared: one space between words, composed characters, and by choice no capitals.

    >>> normalise_text("  Good\\tMorning ", fold_case=True)
    'good morning'
    """
    text = text.casefold() if fold_case else text
    return " ".join(unicodedata.normalize("NFC", text).split())


@dataclass(frozen=True)
class Vocabulary:
    """Characters and their labels: blank is 0, then come the characters in their order.

    >>> vocabulary = Vocabulary.of(["two", "one"])
    >>> vocabulary.characters, vocabulary.labels("now")
    ('enotw', [2, 3, 5])
    >>> vocabulary.text([0, 4, 4, 0, 0, 5, 3, 0, 3])
    'twoo'

    Attributes:
        characters: every character once; a space is the boundary of words.
    """

    characters: str

    def __post_init__(self) -> None:
        """Refuse characters that stand twice."""
        twice = sorted({character for character in self.characters if self.characters.count(character) > 1})
        if twice:
            raise InputError(f"model.characters names {list_first([repr(c) for c in twice])} twice; give each once")

    @staticmethod
    def of(texts: Iterable[str]) -> "Vocabulary":
        """All characters of some transcripts, sorted."""
        return Vocabulary("".join(sorted({character for text in texts for character in text})))

    @cached_property
    def _label_of(self) -> dict[str, int]:
        return {character: label for label, character in enumerate(self.characters, start=BLANK + 1)}

    def __len__(self) -> int:
        return len(self.characters) + 1

    def unknown(self, text: str) -> set[str]:
        """The characters of a transcript that have no label."""
        return set(text) - self._label_of.keys()

    def labels(self, text: str) -> list[int]:
        """One label a character; all of them must be known."""
        return [self._label_of[character] for character in text]

    def text(self, path: Sequence[int]) -> str:
        """What one label a frame says: a label that goes on counts once, and blanks are silent."""
        return "".join(self.characters[label - 1] for label, _ in groupby(path) if label != BLANK)


def frames_needed(text: str) -> int:
    """Frames that CTC needs at least: one a character, and a blank between two that are the same.

    >>> frames_needed("hello")
    6
    """
    return len(text) + sum(one == other for one, other in pairwise(text))


def loss_per_character(logits: Tensor, frame_lengths: Tensor, labels: Sequence[Sequence[int]]) -> Tensor:
    """CTC loss of every utterance over the number of its characters; infinite where they do not fit into the frames.

    Args:
        logits: (batch, frames, characters + 1) float32 or float64.
        frame_lengths: (batch,) int64.
        labels: of every utterance, without blanks, at least one.

    Returns:
        (batch,) in the dtype of the logits.
    """
    n_labels = torch.tensor([len(of_one) for of_one in labels], device=logits.device)
    targets = nn.utils.rnn.pad_sequence([torch.tensor(of_one) for of_one in labels], batch_first=True)
    with torch.autocast(logits.device.type, enabled=False):
        log_probabilities = logits.log_softmax(dim=2).transpose(0, 1)  # (frames, batch, characters + 1)
        losses = F.ctc_loss(
            log_probabilities, targets.to(logits.device), frame_lengths, n_labels, blank=BLANK, reduction="none"
        )
    return losses / n_labels


def error_counts(guesses: Sequence[str], texts: Sequence[str]) -> dict[str, Tensor]:
    """Edits that make each transcript out of its guess, and what they are to be divided by, in words and in characters.

    >>> counts = error_counts(["good morning"], ["good evening"])
    >>> {name: count.item() for name, count in counts.items()}
    {'ctc_word_errors': 1.0, 'ctc_words': 2.0, 'ctc_character_errors': 3.0, 'ctc_characters': 12.0}

    Args:
        guesses: transcripts as they were read.
        texts: the true ones, each with a word at least.

    Returns:
        (utterances,) float64 each, whole numbers.
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
