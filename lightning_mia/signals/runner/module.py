"""The probe: one pass over the recordings, from waveforms to signals."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import BasePredictionWriter

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.files import hash_of


class Probe(L.LightningModule):
    """Asks a model one group of questions and keeps only signals; frame features never leave `predict_step`.

    Args:
        model: the model that is asked.
        group: the questions, prepared for this model.
    """

    def __init__(self, model: SpeechModel, group: SignalGroup) -> None:
        super().__init__()
        self.model, self.group = model, group

    def on_predict_start(self) -> None:
        """Full float32 in convolutions on a GPU: TF32 would let signals depend on the batch."""
        torch.backends.cudnn.allow_tf32 = False

    def predict_step(self, batch: Batch, batch_idx: int) -> Signals:
        """Signals of one batch."""
        return measure(self.model, self.group, batch)


def measure(model: SpeechModel, group: SignalGroup, batch: Batch) -> Signals:
    """Signals of one batch, which is on the model's device."""
    measured = group.measure(model, batch)
    columns = {name: values.double().cpu().numpy() for name, values in measured.scalars.items()}
    table = pd.DataFrame(columns, index=pd.Index(batch.ids, dtype=object))  # a group may have no columns
    pooled = measured.pooled if measured.pooled is not None else torch.empty(len(batch.ids), 0, 0)
    return Signals(table, pooled.float().cpu().numpy())


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
