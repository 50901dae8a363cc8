"""Outputs of speech models."""

from dataclasses import dataclass

from torch import Tensor

# Names of the signals by training task.
PRETEXT_SCORE = "pretext_score"
CTC_SCORE = "ctc_score"
TOKEN_SCORE = "token_score"  # of a decoder that transcribes, such as Whisper's


@dataclass(frozen=True)
class Encoded:
    """Hidden states of a batch."""

    hidden: tuple[Tensor, ...]  # per layer (batch, frames, dim); layer 0 is the input to the transformer
    lengths: Tensor  # (batch,) int64, real frames; the values of frames beyond them are undefined


@dataclass(frozen=True)
class Pretext:
    """Training loss of a batch, with health metrics."""

    loss: Tensor  # () float32, to be minimised
    health: dict[str, Tensor]  # metrics to log, () each
