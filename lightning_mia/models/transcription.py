"""How well transcripts are known to a model that gives every frame a probability for every character."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics.functional.text import char_error_rate, word_error_rate

from lightning_mia.models.vocabulary import BLANK


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
