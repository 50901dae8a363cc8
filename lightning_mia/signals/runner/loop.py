"""The batch loop of every probe."""

from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import torch
from torch.utils.data import DataLoader

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, count_batches
from lightning_mia.corpora.loading.datasets import Recordings, loader
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measure
from lightning_mia.signals.table import Signals


def length_loader(
    recordings: Recordings, batch_seconds: float, num_workers: int = 0, rank: int = 0, world_size: int = 1
) -> DataLoader[Batch]:
    """Batch recordings of similar length, shortest first.

    Every recording is loaded exactly once over all processes.

    Args:
        recordings: recordings to load.
        batch_seconds: audio in one batch (seconds).
        num_workers: processes that read audio.
        rank: this process; it loads every `world_size`-th batch.
        world_size: number of processes; each gets at least one batch, if there are that many recordings.
    """
    durations = recordings.durations
    n_batches = max(count_batches(durations, batch_seconds), world_size)
    return loader(recordings, LengthBatches(durations, n_batches, rank=rank, world_size=world_size), num_workers)


def batches(
    recordings: Recordings,
    batch_seconds: float,
    device: torch.device | str,
    num_workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """Yield the batches of `length_loader` on a device."""
    for batch in length_loader(recordings, batch_seconds, num_workers, rank, world_size):
        yield batch._replace(waveforms=batch.waveforms.to(device), lengths=batch.lengths.to(device))


def measure_batch(model: SpeechModel, measure: Measure, batch: Batch) -> Signals:
    """Measure one batch in full float32.

    The batch is on the model's device.
    """
    with full_float32():
        measured = measure(model, batch)
    columns = {name: values.double().cpu().numpy() for name, values in measured.scalars.items()}
    scalars = pd.DataFrame(columns, index=pd.Index(batch.ids, dtype=object))  # a group may have no columns
    pooled = measured.pooled if measured.pooled is not None else torch.empty(len(batch.ids), 0, 0)
    return Signals(scalars, pooled.float().cpu().numpy())


@contextmanager
def full_float32() -> Iterator[None]:
    """Disable TF32 in convolutions on GPUs.

    With TF32, signals would depend on the batch.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
