"""The characters of transcripts, as CTC sees them."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

from lightning_mia.errors import InputError, list_first

BLANK = 0  # label of "no character here"


def plain(text: str, fold_case: bool) -> str:
    """A transcript as it is compared: one space between words, composed characters, and by choice no capitals.

    >>> plain("  Good\\tMorning ", fold_case=True)
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
