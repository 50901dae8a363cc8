"""Lightning module and prediction writer of the probe."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BasePredictionWriter
from torch.utils.data import DataLoader

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measure
from lightning_mia.signals.runner.loop import length_loader, measure_batch
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.progress_bar import Progress


class Probe(L.LightningModule):
    """Measures signals in `predict_step`; hidden states are not returned.

    Args:
        model: the probed model.
        measure: measures a batch; see `SignalGroup.prepare`.
    """

    def __init__(self, model: SpeechModel, measure: Measure) -> None:
        super().__init__()
        self.model, self.measure = model, measure

    def predict_step(self, batch: Batch, batch_idx: int) -> Signals:
        """Measure the signals of one batch."""
        return measure_batch(self.model, self.measure, batch)


class ProbeRecordings(L.LightningDataModule):
    """Recordings to be probed, each exactly once over all processes.

    In `predict`, Lightning does not shard a custom batch sampler, and padding by Lightning would repeat recordings.
    Every process therefore takes its own share of the batches.

    Args:
        recordings: recordings to probe.
        batch_seconds: audio in one batch (seconds).
        num_workers: processes that read audio.
    """

    def __init__(self, recordings: Recordings, *, batch_seconds: float, num_workers: int = 0) -> None:
        super().__init__()
        self.recordings = recordings
        self.batch_seconds, self.num_workers = batch_seconds, num_workers
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer recordings than processes

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Load the batches of this process, by length."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return length_loader(self.recordings, self.batch_seconds, self.num_workers, rank, world_size)


class MeasuringWork(L.Callback):
    """Counts the work of measuring.

    Args:
        progress: takes the work.
        work: work on all recordings.
    """

    def __init__(self, progress: Progress, work: float) -> None:
        self.progress, self.work = progress, work

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch; all have about the same duration."""
        self.progress.advance(self.work / sum(trainer.num_predict_batches))


class SignalWriter(BasePredictionWriter):
    """Writes signals to shards, a new one every `seconds`.

    An interruption then loses little.

    Args:
        folder: folder of the shards; those of all processes together hold every recording once.
        seconds: time between two shards (seconds).
    """

    def __init__(self, folder: Path, seconds: float = 60.0) -> None:
        super().__init__("batch")
        self.folder, self.seconds = folder, seconds
        self.pending: list[Signals] = []
        self.last_write = time.monotonic()

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
        """Collect signals, and write a shard when due."""
        self.pending.append(prediction)
        if time.monotonic() - self.last_write > self.seconds:
            self._write()

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the remaining signals, and wait for the other processes."""
        self._write()
        trainer.strategy.barrier()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Keep what was measured before an interruption."""
        self._write()

    def _write(self) -> None:
        if self.pending:
            shard = Signals.concatenate(self.pending)
            # No recording is in two shards, so the first one identifies its shard.
            shard.save(self.folder / f"{hash_of(shard.scalars.index[0])[:16]}.npz")
        self.pending, self.last_write = [], time.monotonic()
