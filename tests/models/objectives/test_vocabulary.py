import math

import pytest
import torch
import torch.nn.functional as F

from lightning_mia.models.objectives.transcripts import Vocabulary, frames_needed, normalise_text
from lightning_mia.utilities.errors import InputError


def test_labels_and_text_are_each_others_inverse() -> None:
    vocabulary = Vocabulary.of(["backward", "go on", "stop"])
    assert vocabulary.characters == " abcdgknoprstw"
    assert len(vocabulary) == 15
    assert vocabulary.text(vocabulary.labels("go back on")) == "go back on"


def test_the_order_of_the_corpus_does_not_matter() -> None:
    texts = ["right", "left", "on the left"]
    assert Vocabulary.of(texts) == Vocabulary.of(reversed(texts)) == Vocabulary.of(texts * 2)


@pytest.mark.parametrize(
    ("path", "text"),
    [([], ""), ([0, 0], ""), ([1, 1, 0, 1], "aa"), ([0, 1, 1, 2, 2, 2, 0, 0, 1], "aba"), ([1, 2, 1], "aba")],
)
def test_a_path_says_each_run_of_a_label_once(path: list[int], text: str) -> None:
    assert Vocabulary("ab").text(path) == text


def test_a_character_that_stands_twice_is_refused() -> None:
    with pytest.raises(InputError, match="names 'a' twice"):
        Vocabulary("aba")


def test_composed_and_decomposed_letters_are_one() -> None:
    assert normalise_text("Cafe\u0301\n", fold_case=False) == "Caf\u00e9"
    assert normalise_text("STRASSE", fold_case=True) == normalise_text("Straße", fold_case=True)


@pytest.mark.parametrize("text", ["a", "ab", "aa", "abba", "aaab", "hello all"])
def test_frames_needed_is_where_the_loss_becomes_finite(text: str) -> None:
    labels = torch.tensor([Vocabulary.of([text]).labels(text)])
    finite = []
    for frames in range(1, 2 * len(text) + 1):
        log_probabilities = torch.zeros(frames, 1, 20).log_softmax(dim=2)
        loss = F.ctc_loss(log_probabilities, labels, torch.tensor([frames]), torch.tensor([len(text)]))
        finite.append(math.isfinite(loss.item()))
    assert finite.index(True) + 1 == frames_needed(text)
