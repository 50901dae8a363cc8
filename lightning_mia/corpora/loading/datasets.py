"""Recordings of the audio cache as PyTorch data sets and data modules."""

from collections.abc import Iterator, Sequence
from typing import cast

import lightning as L
import numpy as np
from torch.utils.data import DataLoader, Dataset

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.loading.augmentation import SpecAugment, TimeMasking, WaveformChanges
from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, batches_for


class Recordings(Dataset[tuple[str, np.ndarray, str]]):
    """Some utterances of an audio cache: `(id, waveform, transcript)`, the waveform `(samples,)` float32.

    Args:
        audio: the decoded corpus.
        ids: utterances.
        changes: what is done to every waveform.
    """

    def __init__(self, audio: AudioCache, ids: Sequence[str], changes: WaveformChanges = WaveformChanges()) -> None:
        self.audio, self.ids, self.changes = audio, list(ids), changes

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[str, np.ndarray, str]:
        utterance = self.ids[index]
        return utterance, self.changes(self.audio.waveform(utterance)), self.audio.texts.get(utterance, "")

    @property
    def durations(self) -> np.ndarray:
        """Seconds of every utterance, (n,)."""
        return self.audio.index.loc[self.ids, "duration"].to_numpy()


def loader(recordings: Recordings, batches: LengthBatches, num_workers: int) -> DataLoader[Batch]:
    """Batches of recordings, in the order of `batches`."""
    return DataLoader(
        cast("Dataset[Batch]", recordings),  # of which `collate` makes batches
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )


class TrainingRecordings(L.LightningDataModule):
    """The recordings that one model is trained on: every one once an epoch.

    Args:
        audio: the decoded corpus.
        ids: utterances to train on.
        n_batches: batches an epoch (over all processes), equal for models that are to be compared.
        batch_seconds: audio in a batch, for `training_waveforms`.
        num_workers: processes that read audio.
        seed: of the order of batches.
        changes: what is done to every waveform.
        masking: what is silenced, differently in every epoch.
        spec_augment: what the model hides of its log-mel frames.
    """

    def __init__(
        self,
        audio: AudioCache,
        ids: Sequence[str],
        *,
        n_batches: int,
        batch_seconds: float,
        num_workers: int = 0,
        seed: int = 0,
        changes: WaveformChanges = WaveformChanges(),
        masking: TimeMasking = TimeMasking(),
        spec_augment: SpecAugment = SpecAugment(),
    ) -> None:
        super().__init__()
        self.masking, self.spec_augment = masking, spec_augment
        self.recordings = Recordings(audio, ids, changes)
        self.n_batches, self.batch_seconds = n_batches, batch_seconds
        self.num_workers, self.seed = num_workers, seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches of this process."""
        trainer = self.trainer
        batches = LengthBatches(
            self.recordings.durations,
            self.n_batches,
            shuffle=True,
            seed=self.seed,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return loader(self.recordings, batches, self.num_workers)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Silence spans of the batch, and attach SpecAugment for the model to apply to its log-mel frames."""
        if not self.trainer:
            return batch
        batch = self.masking(batch, self.trainer.current_epoch, self.seed)
        return batch._replace(augment=self.spec_augment) if self.spec_augment.enabled else batch

    def training_waveforms(self) -> Iterator[Batch]:
        """Every training recording exactly once, always in the same order (for k-means targets)."""
        durations = self.recordings.durations
        batches = LengthBatches(durations, batches_for(durations, self.batch_seconds))
        yield from loader(self.recordings, batches, num_workers=0)
