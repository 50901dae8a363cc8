"""The probe: one pass over the recordings, from waveforms to signals."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import BasePredictionWriter

from lightning_mia.data.batch import Batch
from lightning_mia.files import hash_of
from lightning_mia.models.base import SpeechModel
from lightning_mia.probe.questions import draw_masks, draw_noise
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.probe.signals import PAIRWISE_COSINE, Signals
from lightning_mia.probe.similarity import mean_pairwise_cosine, mean_pool


class Probe(L.LightningModule):
    """Asks a model and keeps only signals; frame features never leave `predict_step`.

    Args:
        model: the model that is asked.
        settings: the questions.
    """

    def __init__(self, model: SpeechModel, settings: ProbeSettings) -> None:
        super().__init__()
        self.model, self.settings = model, settings

    def on_predict_start(self) -> None:
        """Full float32 in convolutions on a GPU: TF32 would let signals depend on the batch."""
        torch.backends.cudnn.allow_tf32 = False

    def predict_step(self, batch: Batch, batch_idx: int) -> Signals:
        """Signals of one batch."""
        scalars: dict[str, torch.Tensor] = {}
        encoded = self.model.encode(batch.waveforms, batch.lengths)
        for layer, hidden in enumerate(encoded.hidden):
            scalars[f"{PAIRWISE_COSINE}_layer{layer}"] = mean_pairwise_cosine(hidden, encoded.lengths)
        pooled = torch.stack([mean_pool(hidden, encoded.lengths) for hidden in encoded.hidden], dim=1)
        for name, scores in self.model.task_scores(batch, *self._questions(batch)).items():
            draws = enumerate(scores) if scores.dim() == 2 else []
            scalars |= {f"{name}_mask{draw}": of_draw for draw, of_draw in draws} or {name: scores}
        table = pd.DataFrame({name: values.double().cpu().numpy() for name, values in scalars.items()})
        return Signals(table.set_index(pd.Index(batch.ids, dtype=object)), pooled.float().cpu().numpy())

    def _questions(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Masks (draws, batch, frames) bool, and noise (draws, batch, frames, noise dim)."""
        frames = self.model.frame_lengths(batch.lengths).tolist()
        seed, law, dim = self.settings.mask_seed, self.model.mask_span, self.model.noise_dim
        draws = range(self.settings.n_masks)
        masks = torch.stack([draw_masks(batch.ids, frames, law, draw, seed) for draw in draws])
        noise = torch.stack([draw_noise(batch.ids, frames, dim, draw, seed) for draw in draws])
        return masks.to(self.device), noise.to(self.device)


class SignalWriter(BasePredictionWriter):
    """Writes the signals of this process to shards, a new one every `seconds`, so that little is lost.

    Args:
        folder: where the shards go; those of all processes together hold every utterance once.
        seconds: between two shards.
    """

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        super().__init__("batch")
        self.folder, self.seconds = folder, seconds
        self.waiting: list[Signals] = []
        self.since = time.monotonic()

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: Any,
        batch_indices: Sequence[int] | None,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Keep the signals of a batch, and write a shard when it is time."""
        self.waiting.append(prediction)
        if time.monotonic() - self.since > self.seconds:
            self._write(trainer)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what is left, and wait for the other processes."""
        self._write(trainer)
        trainer.strategy.barrier()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Keep what was done before an interruption."""
        self._write(trainer)

    def _write(self, trainer: L.Trainer) -> None:
        if self.waiting:
            shard = Signals.concatenate(self.waiting)
            # No utterance stands in two shards, so the first one names its shard.
            shard.save(self.folder / f"{hash_of(shard.scalars.index[0])[:16]}.npz")
        self.waiting, self.since = [], time.monotonic()
