"""Batch of recordings, padded to the longest."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

FrameAugmentation = Callable[[Tensor, Tensor], Tensor]  # (batch, frames, bands), (batch,) real frames → frames


class Batch(NamedTuple):
    """Recordings of similar length, zero-padded on the right.

    Example:
        >>> batch = Batch(["a", "b"], torch.randn(2, 16_000), torch.tensor([16_000, 12_000]))
        >>> batch.waveforms.shape, batch.lengths.tolist()
        (torch.Size([2, 16000]), [16000, 12000])
    """

    ids: list[str]
    waveforms: Tensor  # (batch, samples) float32 in [-1, 1), 16 kHz
    lengths: Tensor  # (batch,) int64, samples
    texts: tuple[str, ...] = ()  # transcripts, if the corpus has any
    augment: FrameAugmentation | None = None  # of the log-mel frames in training, such as SpecAugment

    def take(self, rows: Sequence[int]) -> "Batch":
        """Select recordings, padded to the longest of them.

        >>> batch = Batch(["a", "b"], torch.ones(2, 3), torch.tensor([2, 3]))
        >>> batch.take([0]).waveforms.shape
        torch.Size([1, 2])
        """
        lengths = self.lengths[rows]
        return self._replace(
            ids=[self.ids[row] for row in rows],
            waveforms=self.waveforms[rows, : int(lengths.max())],
            lengths=lengths,
            texts=tuple(self.texts[row] for row in rows) if self.texts else (),
        )


def collate(recordings: Sequence[tuple[str, np.ndarray, str]]) -> Batch:
    """Stack `(id, waveform, transcript)` triples into a `Batch`.

    Example:
        >>> batch = collate([("a", np.ones(3, np.float32), "yes"), ("b", np.ones(2, np.float32), "no")])
        >>> batch.waveforms.tolist(), batch.lengths.tolist()
        ([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]], [3, 2])
    """
    lengths = torch.tensor([len(waveform) for _, waveform, _ in recordings])
    waveforms = torch.zeros(len(recordings), int(lengths.max()))
    for row, (_, waveform, _) in zip(waveforms, recordings, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    texts = tuple(text for _, _, text in recordings)
    return Batch([utterance for utterance, _, _ in recordings], waveforms, lengths, texts)
