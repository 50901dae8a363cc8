"""Bare training and probing loops, without a Trainer."""

import itertools
import time
from collections.abc import Callable, Iterator

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.batch_sampler import count_batches
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import SpeechModel
from lightning_mia.models.optimizer import linear_schedule
from lightning_mia.models.outputs import Pretext
from lightning_mia.signals.runner.loop import measure_batch
from lightning_mia.signals.runner.module import ProbeRecordings
from lightning_mia.signals.settings import ProbeSettings
from tools.benchmark.devices import wait

Step = Callable[[Batch], object]
TARGET_BATCHES = 2  # for fitting the clusters; enough for a timing


def training_step(
    model: SpeechModel, n_steps: int, pretext: Callable[[Tensor, Tensor, Tensor], Pretext] | None = None
) -> Step:
    """Make a function that takes an audit's optimizer step.

    Args:
        model: model on its device, with fitted targets.
        n_steps: length of the learning rate schedule.
        pretext: replacement of the model's pretext task, such as a compiled one.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    schedule = linear_schedule(optimizer, n_steps, 0.1)
    forward = pretext or model.pretext
    model.train()

    def step(batch: Batch) -> None:
        masks = model.draw_masks(batch.waveforms, batch.lengths)
        loss = forward(batch.waveforms, batch.lengths, masks).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return step


def probing_step(model: SpeechModel) -> Step:
    """Make a function that computes a batch's default signals."""
    group = ProbeSettings().encoder_outputs
    model.eval()

    def step(batch: Batch) -> None:
        with torch.inference_mode():
            measure_batch(model, group.measure, batch)

    return step


def fit_targets(model: SpeechModel, audio: AudioCache) -> None:
    """Fit the model's targets, if it has any."""
    if model.needs_targets:
        batches = training_recordings(audio, batch_seconds=32.0, workers=0).training_waveforms()
        model.fit_targets((batch.waveforms, batch.lengths) for batch in itertools.islice(batches, TARGET_BATCHES))


def training_recordings(audio: AudioCache, batch_seconds: float, workers: int) -> TrainingRecordings:
    """All recordings, for training."""
    n_batches = count_batches(audio.index["duration"].to_numpy(), batch_seconds)
    ids = list(audio.index.index)
    return TrainingRecordings(audio, ids, n_batches=n_batches, batch_seconds=batch_seconds, num_workers=workers)


def training_batches(audio: AudioCache, batch_seconds: float, workers: int) -> Iterator[Batch]:
    """Yield training batches without end, epoch by epoch."""
    loader = training_recordings(audio, batch_seconds, workers).train_dataloader()
    while True:
        yield from loader


def probing_batches(audio: AudioCache, batch_seconds: float, workers: int) -> Iterator[Batch]:
    """Yield probing batches without end, pass by pass."""
    recordings = Recordings(audio, list(audio.index.index))
    loader = ProbeRecordings(recordings, batch_seconds=batch_seconds, num_workers=workers).predict_dataloader()
    while True:
        yield from loader


def audio_per_second(step: Step, batches: Iterator[Batch], device: str, seconds: float) -> float:
    """Measure throughput in seconds of audio per second, without padding.

    The first step is not timed.

    Args:
        step: function of a batch.
        batches: endless batches.
        device: `cpu` or `cuda`.
        seconds: minimum duration; at least one step is timed.
    """
    step(move_data_to_device(next(batches), torch.device(device)))
    wait(device)
    start, audio_seconds = time.perf_counter(), 0.0
    for batch in batches:
        audio_seconds += int(batch.lengths.sum()) / SAMPLE_RATE
        step(move_data_to_device(batch, torch.device(device)))
        if time.perf_counter() - start > seconds:
            break
    wait(device)
    return audio_seconds / (time.perf_counter() - start)
