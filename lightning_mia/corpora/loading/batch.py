"""Batch of recordings, padded to the longest."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lightning_mia.utilities.errors import InputError

MIN_SAMPLES = 1600
"""Shortest recording that models accept (samples)."""

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


def as_batch(data: Any) -> Batch:
    """Convert what a data loader returns.

    Args:
        data: a `Batch`; waveforms (batch, samples), float, 16 kHz; or a tuple or list of waveforms and their lengths
            (batch,) in samples, without which all samples are real.

    Raises:
        InputError: shape or type differ from these, or a recording is shorter than 0.1 s.

    Example:
        >>> as_batch(torch.randn(2, 16_000)).lengths.tolist()
        [16000, 16000]
        >>> as_batch((torch.randn(2, 16_000), torch.tensor([16_000, 9_000]))).lengths.tolist()
        [16000, 9000]
    """
    if isinstance(data, Batch):
        return data
    parts = list(data) if isinstance(data, tuple | list) else [data]
    if not 1 <= len(parts) <= 2 or not all(isinstance(part, Tensor) for part in parts):
        kind = f"{len(parts)} parts" if isinstance(data, tuple | list) else type(data).__name__
        raise InputError(f"A batch is waveforms (batch, samples), with lengths (batch,) or without, but got {kind}")
    waveforms = parts[0]
    if waveforms.ndim != 2 or not waveforms.is_floating_point():
        raise InputError(
            f"Waveforms are {tuple(waveforms.shape)} {str(waveforms.dtype).removeprefix('torch.')}; give float, "
            "(batch, samples) in [-1, 1)"
        )
    n_samples = waveforms.shape[1]
    lengths = parts[1] if len(parts) == 2 else torch.full((len(waveforms),), n_samples, device=waveforms.device)
    if lengths.shape != waveforms.shape[:1] or lengths.is_floating_point():
        raise InputError(
            f"Lengths are {tuple(lengths.shape)} {str(lengths.dtype).removeprefix('torch.')}, but there are "
            f"{len(waveforms)} waveforms; give one whole number of samples for each"
        )
    if len(lengths) and not (int(lengths.min()) >= MIN_SAMPLES and int(lengths.max()) <= n_samples):
        raise InputError(
            f"Lengths are {int(lengths.min())} to {int(lengths.max())} samples; give {MIN_SAMPLES} (0.1 s) to "
            f"{n_samples}, the width of the waveforms"
        )
    return Batch([str(row) for row in range(len(waveforms))], waveforms, lengths.long())


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
