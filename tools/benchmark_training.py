"""A training step through the Trainer, with everything that an audit carries along, against the bare PyTorch loop.

    python tools/benchmark_training.py

Both train the same tiny models on the same batches of synthetic voices; each is run alternately, and the
fastest run of either counts. Prints milliseconds a step and the ratio.
"""

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import torch

from lightning_mia.corpus import SyntheticVoices
from lightning_mia.data.audio_cache import AudioCache, decode
from lightning_mia.data.recordings import TrainingRecordings
from lightning_mia.models import TERA, HuBERT, MelHuBERT, SpeechModel
from lightning_mia.models.schedule import linear_schedule
from lightning_mia.stage import Stage
from lightning_mia.trainer_factory import TrainerFactory
from lightning_mia.training.initialise import initialise
from lightning_mia.training.train import train

BATCHES = 14


def recordings(audio: AudioCache) -> TrainingRecordings:
    return TrainingRecordings(audio, list(audio.index.index), n_batches=BATCHES, batch_seconds=32)


def bare(like: SpeechModel, data: TrainingRecordings, epochs: int) -> float:
    """Seconds of a loop without Lightning."""
    model = initialise(like, 0)
    model.fit_targets((batch.waveforms, batch.lengths) for batch in data.training_waveforms())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    schedule = linear_schedule(optimizer, epochs * BATCHES, 0.1)
    loader = data.train_dataloader()
    model.train()
    start = time.perf_counter()
    for _ in range(epochs):
        for batch in loader:
            masks = model.draw_masks(batch.waveforms, batch.lengths)
            loss = model.pretext(batch.waveforms, batch.lengths, masks).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return time.perf_counter() - start


def through_the_trainer(like: SpeechModel, data: TrainingRecordings, epochs: int) -> float:
    """Seconds of the same in an audit: progress bar, log, checkpoints, record of exposure."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"max_epochs": epochs, "accelerator": "cpu", "gradient_clip_val": 1.0, "log_every_n_steps": 10}
        factory = TrainerFactory(options)

        def make_trainer(callbacks: list) -> object:
            return factory.for_training(Path(folder), "Training", callbacks)

        return train(like, data, Stage(Path(folder), {}), 0, make_trainer).record["loop_seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    audio = decode(SyntheticVoices(20, 10).table())
    rows = []
    for like in (TERA(), MelHuBERT(), HuBERT()):
        pairs = [
            (
                bare(like, recordings(audio), arguments.epochs),
                through_the_trainer(like, recordings(audio), arguments.epochs),
            )
            for _ in range(arguments.repeats)
        ]
        loop, trainer = (1000 * min(seconds) / arguments.epochs / BATCHES for seconds in zip(*pairs, strict=True))
        rows.append(f"{type(like).__name__:10}  {loop:12.1f}  {trainer:15.1f}  {trainer / loop:5.2f}")
    print("model       bare ms/step  Trainer ms/step  ratio", *rows, sep="\n")


if __name__ == "__main__":
    main()
