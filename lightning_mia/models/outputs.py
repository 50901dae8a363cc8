"""Outputs of speech models."""

from dataclasses import dataclass

from torch import Tensor

PRETEXT_SCORE = "pretext_score"  # name of the signal


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of a batch."""

    hidden: tuple[Tensor, ...]  # per layer (batch, frames, dim); layer 0 is the input to the transformer
    lengths: Tensor  # (batch,) int64, real frames; frames beyond them mean nothing


@dataclass(frozen=True)
class Pretext:
    """How well a batch's pretext task was solved in training."""

    loss: Tensor  # () float32, to be minimised
    health: dict[str, Tensor]  # figures to log, () each
