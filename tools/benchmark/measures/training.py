"""Training step with an audit's Trainer, against a bare loop.

Both train the same tiny models on the same batches of synthetic voices. They alternate, and the fastest run of each
counts.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import torch

from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import TrainingRecordings
from lightning_mia.models import TERA, HuBERT, MelHuBERT, SpeechModel
from lightning_mia.models.checkpoint import initialise
from lightning_mia.training.train import train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.stage import Stage
from tools.benchmark.devices import device_name
from tools.benchmark.loops import training_step
from tools.benchmark.rows import Row, relative

BATCHES = 14


def measure(quick: bool) -> Iterator[Row]:
    """Measure milliseconds per step by family."""
    epochs, repeats = (1, 1) if quick else (6, 4)
    torch.set_num_threads(1)
    audio = decode(SyntheticVoices(20, 10).table(), progress=False)
    for template in (TERA(), MelHuBERT(), HuBERT()):
        pairs = [
            (time_loop(template, recordings(audio), epochs), time_trainer(template, recordings(audio), epochs))
            for _ in range(repeats)
        ]
        loop, trainer = (1000 * min(seconds) / epochs / BATCHES for seconds in zip(*pairs, strict=True))
        what = f"training step of {type(template).__name__} through the Trainer"
        yield relative(what, trainer, "bare loop", loop, unit="ms per step", device=device_name("cpu"))


def recordings(audio: AudioCache) -> TrainingRecordings:
    """Load all recordings, in `BATCHES` batches."""
    return TrainingRecordings(audio, list(audio.index.index), n_batches=BATCHES, batch_seconds=32)


def time_loop(template: SpeechModel, data: TrainingRecordings, epochs: int) -> float:
    """Measure seconds of a loop without Lightning."""
    model = initialise(template, 0)
    model.fit_targets((batch.waveforms, batch.lengths) for batch in data.training_waveforms())
    step, batches = training_step(model, epochs * BATCHES), data.train_dataloader()
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in batches:
            step(batch)
    return time.perf_counter() - start


def time_trainer(template: SpeechModel, data: TrainingRecordings, epochs: int) -> float:
    """Measure seconds with progress bar, log, checkpoints, exposure record."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"max_epochs": epochs, "accelerator": "cpu", "gradient_clip_val": 1.0, "log_every_n_steps": 10}
        factory = TrainerFactory(options)

        def make_trainer(callbacks: list[L.Callback]) -> L.Trainer:
            return factory.for_training(Path(folder), "Training", callbacks)

        return train(template, data, Stage(Path(folder), {}), 0, make_trainer).record["loop_seconds"]
