"""Batches of labelled frames, kept in memory or recomputed."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lightning_mia.attacks.base import FrameAccess
from lightning_mia.attacks.classifiers.fit import SECONDS_BEFORE_BAR
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.utilities.progress_bar import tqdm


class FrameSource:
    """Frames of one layer, kept in memory or recomputed.

    Nothing is written to disk.

    Args:
        frames: hidden states of the target.
        layer: hidden layer, from 0.
        cache_bytes: maximum size of the frames kept (bytes), in the memory of their device.
    """

    def __init__(self, frames: FrameAccess, layer: int, cache_bytes: int) -> None:
        self.frames, self.layer, self.cache_bytes = frames, layer, cache_bytes
        self.kept: dict[str, Tensor] = {}  # id → (frames, dim)

    def stream(self, ids: Sequence[str], title: str = "") -> Iterator[Frames]:
        """Yield the frames of every utterance once, batch by batch.

        Args:
            ids: utterances.
            title: title of the progress bar; empty: no bar.
        """
        bar = tqdm(
            total=len(ids), desc=title, unit="utterance", delay=SECONDS_BEFORE_BAR, leave=False, disable=not title
        )
        with bar:
            for frames in self.frames(sorted(ids), self.layer):
                yield frames
                bar.update(len(frames.ids))

    def keep(self, ids: Sequence[str]) -> None:
        """Keep as many utterances' frames in memory as fit."""
        size = 0
        for frames in self.stream(ids):
            utterances = _split(frames)
            size += sum(hidden.nbytes for hidden in utterances.values())
            if size > self.cache_bytes:
                return
            self.kept |= utterances

    def forget(self) -> None:
        """Free the memory."""
        self.kept = {}

    def batch(self, ids: Sequence[str]) -> Frames:
        """Return the frames of utterances as one batch.

        Rows are in the order of `ids`, zero-padded on the right.
        """
        utterances = {name: self.kept[name] for name in ids if name in self.kept}
        if missing := [name for name in ids if name not in utterances]:
            for frames in self.stream(missing):
                utterances |= _split(frames)
        rows = [utterances[name] for name in ids]
        lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
        return Frames(list(ids), pad_sequence(rows, batch_first=True), lengths)


def _split(frames: Frames) -> dict[str, Tensor]:
    """Copy each utterance's frames without padding, (frames, dim)."""
    rows = zip(frames.ids, frames.hidden, frames.lengths.tolist(), strict=True)
    return {name: hidden[:length].detach().clone() for name, hidden, length in rows}


class Example(NamedTuple):
    """Labelled example of one or two utterances."""

    utterances: tuple[str, ...]  # ids
    label: float  # 1 = "member", 0 = "non-member"


class LabelledBatch(NamedTuple):
    """Examples and the frames of their utterances."""

    hidden: Tensor  # (utterances, frames, dim), each utterance once
    lengths: Tensor  # (utterances,) int64, frames without padding
    rows: Tensor  # (examples, 1 or 2) int64, utterances of each example
    labels: Tensor  # (examples,) in the type of `hidden`


class LabelledBatches:
    """Batches of examples for Lightning; an iteration is an epoch.

    Args:
        source: source of the frames.
        draw: returns the examples of an epoch in order.
        batch_size: examples per batch.
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
