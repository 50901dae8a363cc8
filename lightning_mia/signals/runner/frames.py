"""Encoder outputs as a stream: attacks that learn from frames see them batch by batch, and none are stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch_sampler import LengthBatches, batches_for
from lightning_mia.corpora.loading.datasets import Recordings, loader
from lightning_mia.models.base import SpeechModel


@dataclass(frozen=True)
class Frames:
    """What the encoder says of a batch at one layer."""

    ids: list[str]
    hidden: Tensor  # (batch, frames, dim) float32
    lengths: Tensor  # (batch,) int64, real frames


class FrameStream:
    """Asks a model for its hidden states, again and again if need be.

    Args:
        model: the model that is asked.
        recordings: those that it may be asked about.
        batch_seconds: audio in one batch; does not change the frames.
        device: where the model answers, and where the frames are.
    """

    def __init__(
        self, model: SpeechModel, recordings: Recordings, batch_seconds: float, device: torch.device | str = "cpu"
    ) -> None:
        self.model, self.recordings = model, recordings
        self.batch_seconds, self.device = batch_seconds, torch.device(device)

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        """Hidden states of utterances, shortest first, always in the same order.

        Args:
            ids: utterances, each once.
            layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        """
        recordings = Recordings(self.recordings.audio, ids, self.recordings.changes)
        durations = recordings.durations
        batches = LengthBatches(durations, batches_for(durations, self.batch_seconds))
        model = self.model.eval().to(self.device)
        for batch in loader(recordings, batches, num_workers=0):
            with torch.inference_mode():
                encoded = model.encode(batch.waveforms.to(self.device), batch.lengths.to(self.device))
            yield Frames(batch.ids, encoded.hidden[layer].float().clone(), encoded.lengths.clone())
