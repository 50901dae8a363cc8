"""What a scorer is fitted on: frames of one or two utterances an example, and pseudo-labels."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_mia.attacks.frame_source import FrameSource


class Example(NamedTuple):
    """One thing to be told apart."""

    utterances: tuple[str, ...]  # ids: one, or a pair
    label: float  # 1 = "member", 0 = "non-member"


class LabelledBatch(NamedTuple):
    """Some examples, and the frames of all their utterances."""

    hidden: Tensor  # (utterances, frames, dim), each utterance once
    lengths: Tensor  # (utterances,) int64, real frames
    rows: Tensor  # (examples, 1 or 2) int64: the utterances of every example
    labels: Tensor  # (examples,) of the type of `hidden`


class LabelledBatches:
    """Batches of examples for Lightning; an iteration is an epoch.

    Args:
        source: of the frames.
        draw: gives the examples of an epoch in their order.
        batch_size: examples in a batch.
    """

    def __init__(self, source: FrameSource, draw: Callable[[], Sequence[Example]], batch_size: int) -> None:
        self.source, self.draw, self.batch_size = source, draw, batch_size

    def __iter__(self) -> Iterator[LabelledBatch]:
        examples = self.draw()
        for start in range(0, len(examples), self.batch_size):
            yield self._gather(examples[start : start + self.batch_size])

    def _gather(self, examples: Sequence[Example]) -> LabelledBatch:
        names = dict.fromkeys(name for example in examples for name in example.utterances)
        row = {name: number for number, name in enumerate(names)}
        frames = self.source.batch(list(names))
        hidden, device = frames.hidden, frames.hidden.device
        rows = torch.tensor([[row[name] for name in example.utterances] for example in examples], device=device)
        labels = torch.tensor([example.label for example in examples], dtype=hidden.dtype, device=device)
        return LabelledBatch(hidden, frames.lengths, rows, labels)
