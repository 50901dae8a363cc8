"""Bare loops of training and of probing, without a Trainer, on any device."""

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
TARGET_BATCHES = 2  # on which clusters are fitted: enough for a timing


def training_step(
    model: SpeechModel, n_steps: int, pretext: Callable[[Tensor, Tensor, Tensor], Pretext] | None = None
) -> Step:
    """A function that takes one optimizer step, as an audit's Trainer does.

    Args:
        model: on its device, with its targets fitted.
        n_steps: of the learning rate's schedule.
        pretext: instead of the model's own, such as a compiled one.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    schedule = linear_schedule(optimizer, n_steps, 0.1)
    ask = pretext or model.pretext
    model.train()

    def step(batch: Batch) -> None:
        masks = model.draw_masks(batch.waveforms, batch.lengths)
        loss = ask(batch.waveforms, batch.lengths, masks).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return step


def probing_step(model: SpeechModel) -> Step:
    """A function that takes the signals of one batch that every audit takes."""
    group = ProbeSettings().encoder_outputs
    model.eval()

    def step(batch: Batch) -> None:
        with torch.inference_mode():
            measure_batch(model, group.measure, batch)

    return step


def fit_targets(model: SpeechModel, audio: AudioCache) -> None:
    """Fit a model's targets on a little audio, where it needs any."""
    if model.needs_targets:
        batches = training_recordings(audio, batch_seconds=32.0, workers=0).training_waveforms()
        model.fit_targets((one.waveforms, one.lengths) for one in itertools.islice(batches, TARGET_BATCHES))


def training_recordings(audio: AudioCache, batch_seconds: float, workers: int) -> TrainingRecordings:
    """All recordings, for training."""
    n_batches = count_batches(audio.index["duration"].to_numpy(), batch_seconds)
    ids = list(audio.index.index)
    return TrainingRecordings(audio, ids, n_batches=n_batches, batch_seconds=batch_seconds, num_workers=workers)


def training_batches(audio: AudioCache, batch_seconds: float, workers: int) -> Iterator[Batch]:
    """Batches for training, one epoch after the other, without end."""
    loader = training_recordings(audio, batch_seconds, workers).train_dataloader()
    while True:
        yield from loader


def probing_batches(audio: AudioCache, batch_seconds: float, workers: int) -> Iterator[Batch]:
    """Batches for probing, from the beginning again and again, without end."""
    recordings = Recordings(audio, list(audio.index.index))
    loader = ProbeRecordings(recordings, batch_seconds=batch_seconds, num_workers=workers).predict_dataloader()
    while True:
        yield from loader


def audio_per_second(step: Step, batches: Iterator[Batch], device: str, seconds: float) -> float:
    """Seconds of audio that a loop takes in per second, padding not counted, after one untimed step.

    Args:
        step: what is done with a batch.
        batches: without end.
        device: `cpu` or `cuda`.
        seconds: how long, at least; one step is always taken.
    """
    step(move_data_to_device(next(batches), torch.device(device)))
    wait(device)
    start, heard = time.perf_counter(), 0.0
    for batch in batches:
        heard += int(batch.lengths.sum()) / SAMPLE_RATE
        step(move_data_to_device(batch, torch.device(device)))
        if time.perf_counter() - start > seconds:
            break
    wait(device)
    return heard / (time.perf_counter() - start)
