"""Dataset, loader and training data module of cached recordings."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import lightning as L
import numpy as np
from torch.utils.data import DataLoader, Dataset

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.loading.augmentation import (
    NO_CHANGES,
    NO_SPEC_AUGMENT,
    NO_TIME_MASKING,
    SpecAugment,
    TimeMasking,
    WaveformChanges,
)
from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, count_batches


class Recordings(Dataset[tuple[str, np.ndarray, str]]):
    """Dataset of cached utterances.

    Items are `(id, waveform, transcript)`, with waveforms `(samples,)` float32.

    Args:
        audio: decoded corpus.
        ids: utterances.
        changes: transformations of every waveform.
    """

    def __init__(self, audio: AudioCache, ids: Sequence[str], changes: WaveformChanges = NO_CHANGES) -> None:
        self.audio, self.ids, self.changes = audio, list(ids), changes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray, str]:
        utterance = self.ids[index]
        return utterance, self.changes(self.audio.waveform(utterance)), self.audio.texts.get(utterance, "")

    def take(self, ids: Sequence[str]) -> "Recordings":
        """Return other utterances of the same corpus, with the same changes."""
        return Recordings(self.audio, ids, self.changes)

    @property
    def durations(self) -> np.ndarray:
        """Seconds of every utterance, (n,)."""
        return self.audio.index.loc[self.ids, "duration"].to_numpy()


class TrainingRecordings(L.LightningDataModule):
    """Training recordings of one model, each once per epoch or several times.

    Args:
        audio: decoded corpus.
        ids: utterances to train on.
        times: how often each is in an epoch; default: once.
        n_batches: batches per epoch (over all processes), the same for all models that are compared.
        batch_seconds: audio per batch, for `training_waveforms`.
        num_workers: processes that read audio.
        seed: seed of the batch order and of `masking`.
        changes: transformations of every waveform.
        masking: spans to silence, redrawn every epoch.
        spec_augment: attached to every batch; the model applies it to its log-mel frames.
    """

    def __init__(
        self,
        audio: AudioCache,
        ids: Sequence[str],
        *,
        n_batches: int,
        batch_seconds: float,
        times: Sequence[int] | np.ndarray = (),
        num_workers: int = 0,
        seed: int = 0,
        changes: WaveformChanges = NO_CHANGES,
        masking: TimeMasking = NO_TIME_MASKING,
        spec_augment: SpecAugment = NO_SPEC_AUGMENT,
    ) -> None:
        super().__init__()
        self.masking, self.spec_augment = masking, spec_augment
        self.recordings, self.times = Recordings(audio, ids, changes), times
        self.n_batches, self.batch_seconds = n_batches, batch_seconds
        self.num_workers, self.seed = num_workers, seed

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that change the weights, but for ids and seed."""
        return {
            **self.recordings.changes.fingerprint(),
            **self.masking.fingerprint(),
            **self.spec_augment.fingerprint(),
        }

    def of(self, ids: Sequence[str], seed: int, n_parts: int = 1) -> "TrainingRecordings":
        """Return other training recordings, each once per epoch, in batches of the same duration.

        Args:
            ids: utterances to train on.
            seed: seed of the batch order and of `masking`.
            n_parts: equal parts into which a batch is divided.
        """
        other = copy.copy(self)
        other.recordings, other.times, other.seed = self.recordings.take(ids), (), seed
        other.n_batches = n_parts * count_batches(other.recordings.durations, self.batch_seconds)
        return other

    def epoch(self) -> Recordings:
        """Return the recordings of an epoch, as often as they are in it."""
        ids = self.recordings.ids
        return self.recordings.take(np.repeat(ids, self.times).tolist() if len(self.times) else ids)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Create the loader of this process's shuffled batches."""
        trainer, epoch = self.trainer, self.epoch()
        batches = LengthBatches(
            epoch.durations,
            self.n_batches,
            shuffle=True,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return loader(epoch, batches, self.num_workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Silence spans, and attach SpecAugment to the batch."""
        if not self.trainer:
            return batch
        batch = self.masking(batch, self.trainer.current_epoch, self.seed)
        return batch._replace(augment=self.spec_augment) if self.spec_augment.enabled else batch

    def training_waveforms(self) -> Iterator[Batch]:
        """Yield every training recording once, in a fixed order."""
        durations = self.recordings.durations
        batches = LengthBatches(durations, count_batches(durations, self.batch_seconds))
        yield from loader(self.recordings, batches, num_workers=0)


def loader(recordings: Recordings, batches: LengthBatches, num_workers: int) -> DataLoader[Batch]:
    """Create a data loader of the given batches."""
    return DataLoader(
        cast("Dataset[Batch]", recordings),  # `collate` turns its items into batches
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
