import itertools
import math
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.models.objectives.transcripts import (
    Vocabulary,
    error_counts,
    frames_needed,
    loss_per_character,
    normalise_text,
)
from lightning_mia.utilities.errors import InputError


def test_text_inverts_labels() -> None:
    vocabulary = Vocabulary.from_texts(["backward", "go on", "stop"])
    assert vocabulary.characters == " abcdgknoprstw"
    assert len(vocabulary) == 15
    assert vocabulary.text(vocabulary.labels("go back on")) == "go back on"


def test_vocabulary_does_not_depend_on_the_order_of_texts() -> None:
    texts = ["right", "left", "on the left"]
    assert Vocabulary.from_texts(texts) == Vocabulary.from_texts(reversed(texts)) == Vocabulary.from_texts(texts * 2)


@pytest.mark.parametrize(
    ("path", "text"),
    [([], ""), ([0, 0], ""), ([1, 1, 0, 1], "aa"), ([0, 1, 1, 2, 2, 2, 0, 0, 1], "aba"), ([1, 2, 1], "aba")],
)
def test_repeated_labels_are_merged(path: list[int], text: str) -> None:
    assert Vocabulary("ab").text(path) == text


def test_repeated_character_is_refused() -> None:
    with pytest.raises(InputError, match="repeats 'a'"):
        Vocabulary("aba")


def test_composed_and_decomposed_letters_are_equal() -> None:
    assert normalise_text("Cafe\u0301\n", fold_case=False) == "Caf\u00e9"
    assert normalise_text("STRASSE", fold_case=True) == normalise_text("Straße", fold_case=True)


@pytest.mark.parametrize("text", ["a", "ab", "aa", "abba", "aaab", "hello all"])
def test_frames_needed_is_the_least_number_with_finite_loss(text: str) -> None:
    labels = torch.tensor([Vocabulary.from_texts([text]).labels(text)])
    finite = []
    for frames in range(1, 2 * len(text) + 1):
        log_probabilities = torch.zeros(frames, 1, 20).log_softmax(dim=2)
        loss = F.ctc_loss(log_probabilities, labels, torch.tensor([frames]), torch.tensor([len(text)]))
        finite.append(math.isfinite(loss.item()))
    assert finite.index(True) + 1 == frames_needed(text)


def by_all_paths(logits: Tensor, labels: list[int]) -> float:
    """CTC loss per character of one utterance (frames, classes), by summing over every path that says the labels."""
    probabilities = logits.double().softmax(dim=1)
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        decoded = [label for label, _ in itertools.groupby(path) if label]
        if decoded == labels:
            total += math.prod(probabilities[frame, label].item() for frame, label in enumerate(path))
    return -math.log(total) / len(labels) if total else math.inf


def test_loss_equals_the_sum_over_all_paths() -> None:
    logits = 2 * torch.randn(4, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lengths = torch.tensor([6, 5, 3, 3])
    labels = [[1, 2], [3, 3, 1], [2], [1, 1]]
    losses = loss_per_character(logits, lengths, labels)
    expected = [by_all_paths(logits[i, : lengths[i]], labels[i]) for i in range(4)]
    assert losses.tolist() == pytest.approx(expected, rel=1e-12)


def test_loss_of_too_long_text_is_infinite() -> None:
    assert loss_per_character(torch.zeros(1, 2, 3), torch.tensor([2]), [[1, 1]]).tolist() == [math.inf]


def test_ctc_loss_ignores_padding() -> None:
    logits = torch.randn(1, 5, 4)
    padded = torch.cat([logits, 50 * torch.randn(1, 9, 4)], dim=1)
    lengths, labels = torch.tensor([5]), [[1, 2]]
    assert torch.equal(loss_per_character(logits, lengths, labels), loss_per_character(padded, lengths, labels))


def test_loss_is_float32_under_autocast_to_bf16() -> None:
    logits, lengths, labels = torch.randn(2, 5, 4), torch.tensor([5, 4]), [[1, 2], [3]]
    full = loss_per_character(logits, lengths, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss_per_character(logits, lengths, labels)
    assert half.dtype == torch.float32
    assert torch.equal(full, half)


def edits(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Levenshtein's distance by its recursive definition."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        )

    return distance(len(one), len(other))


GUESSES = ["", "go", "bird", "turn right", "noise everywhere here", "the quick brown fx jumps"]
TEXTS = ["stop", "go", "bed", "turn left now", "yes", "a quick brown fox jumped"]


def test_error_counts_equal_the_definition() -> None:
    counts = error_counts(GUESSES, TEXTS)
    pairs = list(zip(GUESSES, TEXTS, strict=True))
    assert counts["ctc_word_errors"].tolist() == [edits(tuple(g.split()), tuple(t.split())) for g, t in pairs]
    assert counts["ctc_character_errors"].tolist() == [edits(tuple(g), tuple(t)) for g, t in pairs]
    assert counts["ctc_words"].tolist() == [1, 1, 1, 3, 1, 5]
    assert counts["ctc_characters"].tolist() == [4, 2, 3, 13, 3, 24]
    assert all(count.dtype == torch.float64 for count in counts.values())


def test_error_counts_sum_to_corpus_error_rates() -> None:
    sums = {name: count.sum().item() for name, count in error_counts(GUESSES, TEXTS).items()}
    assert sums["ctc_word_errors"] / sums["ctc_words"] == pytest.approx(word_error_rate(GUESSES, TEXTS).item())
    assert sums["ctc_character_errors"] / sums["ctc_characters"] == pytest.approx(
        char_error_rate(GUESSES, TEXTS).item()
    )
