"""Stream hidden states batch by batch, without storing them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.runner.loop import batches


@dataclass(frozen=True)
class Frames:
    """Hidden states of a batch at one layer."""

    ids: list[str]
    hidden: Tensor  # (batch, frames, dim) float32
    lengths: Tensor  # (batch,) int64, real frames


class FrameStream:
    """Re-iterable source of a model's hidden states.

    Args:
        model: the model.
        recordings: recordings that may be requested.
        batch_seconds: audio in one batch (seconds); does not change the frames.
        device: device of the model and of the frames.
    """

    def __init__(
        self, model: SpeechModel, recordings: Recordings, batch_seconds: float, device: torch.device | str = "cpu"
    ) -> None:
        self.model, self.recordings = model, recordings
        self.batch_seconds, self.device = batch_seconds, torch.device(device)

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        """Yield hidden states of recordings, shortest first.

        The order is always the same.

        Args:
            ids: utterances, each once.
            layer: hidden layer, 0 = input of the first transformer block, −1 = the last.
        """
        recordings = Recordings(self.recordings.audio, ids, self.recordings.changes)
        model = self.model.eval().to(self.device)
        for batch in batches(recordings, self.batch_seconds, self.device):
            with torch.inference_mode():
                encoded = model.encode(batch.waveforms, batch.lengths)
            # Copies made outside inference mode can enter the graph of an attack's network.
            yield Frames(batch.ids, encoded.hidden[layer].float().clone(), encoded.lengths.clone())
