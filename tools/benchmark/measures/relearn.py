"""Relearning 400 candidates against the training of one shadow model.

Both in processor time, on the same synthetic clips of one second. A model of base size is timed for one optimizer step
and one scored mask, from which its cost is estimated.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.corpora.loading.datasets import Recordings, TrainingRecordings
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.signals.base import Resources
from lightning_mia.signals.relearning import Relearning
from lightning_mia.signals.runner.loop import batches, measure_batch
from lightning_mia.signals.settings import MAX_MASKS
from lightning_mia.training.further_training import FurtherTraining
from lightning_mia.training.train import Trained, train
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.stage import Stage
from tools.benchmark.corpora import write_clips
from tools.benchmark.devices import device_name
from tools.benchmark.loops import training_step
from tools.benchmark.rows import Row, relative

N_CANDIDATES = 400
BATCH_SECONDS = 16.0
FAMILIES: tuple[tuple[SpeechModel, int], ...] = (  # and the epochs of the audits in docs/results.md
    (TERA(), 100),
    (MelHuBERT(learning_rate=2e-3), 14),
    (HuBERT(learning_rate=2e-3), 20),
    (Wav2Vec2(), 35),
    (CPC(), 40),
)
BASE: dict[str, Any] = {
    "conv_channels": 512,
    "conv_group_norm": True,
    "n_layers": 12,
    "dim": 768,
    "n_heads": 12,
    "feedforward_dim": 3072,
    "pre_norm": False,
    "position_kernel": 128,
    "position_groups": 16,
    "code_dim": 256,
}


def measure(quick: bool) -> Iterator[Row]:
    """Measure processor seconds by family, and estimate the base size."""
    torch.set_num_threads(1)
    n_candidates, fraction = (40, 0.1) if quick else (N_CANDIDATES, 1.0)
    with tempfile.TemporaryDirectory() as name:
        clips = write_clips(Path(name), n_candidates, 1.0)
        audio = decode(Manifest(str(clips)).table(), cache_dir=Path(name) / "cache", progress=False)
        for template, epochs in FAMILIES:
            yield compare(template, audio, max(1, round(fraction * epochs)), Path(name) / type(template).__name__)
        yield estimate_base(audio, n_candidates)


def compare(template: SpeechModel, audio: AudioCache, epochs: int, folder: Path) -> Row:
    """Train on half of the clips, then relearn them all."""
    ids, group = list(audio.index.index), Relearning()
    recordings = _training_recordings(audio, ids[::2])
    trainers = TrainerFactory(
        {"max_epochs": epochs, "accelerator": "cpu", "gradient_clip_val": 1.0, "enable_progress_bar": False}
    )
    make_trainer = partial(trainers.for_training, folder, "Training")
    trained: Trained = train(template, recordings, Stage(folder / "model", {}), 0, make_trainer)
    start = time.process_time()
    further = FurtherTraining(recordings, trainers, folder / "copies")
    queries = Recordings(audio, ids)
    measure_one = group.prepare(
        trained.model, Resources(queries.take([]), candidates={"utterance": ids}, train_further=further)
    )
    for batch in batches(queries, 60.0, "cpu"):
        with torch.inference_mode():
            measure_batch(trained.model, measure_one, batch)
    seconds = time.process_time() - start
    return relative(
        f"relearning of {len(ids)} clips by {type(template).__name__}",
        seconds,
        f"training of a shadow model, {epochs} epochs",
        float(trained.record["processor_seconds"]),
        device=device_name("cpu"),
        unit="s of processor time",
        note=f"{group.queries} passes per recording",
    )


def estimate_base(audio: AudioCache, n_candidates: int) -> Row:
    """Estimate the cost for a HuBERT of base size, from one step and one mask."""
    model, group, ids = HuBERT(**BASE), Relearning(), list(audio.index.index)
    data = _training_recordings(audio, ids)
    model.fit_targets((batch.waveforms, batch.lengths) for batch in data.training_waveforms())
    batch = next(iter(data.train_dataloader()))
    step = training_step(model, 10)
    per_step = _seconds(lambda: step(batch))
    model.eval()
    masks = model.draw_masks(batch.waveforms, batch.lengths)
    with torch.inference_mode():
        per_mask = _seconds(lambda: model.pretext_score(batch.waveforms, batch.lengths, masks))
    n_batches = n_candidates / len(batch.ids)
    steps = group.epochs * group.n_copies / (2 if group.halves else 1) * n_batches
    seconds = steps * per_step + (1 + group.n_copies) * MAX_MASKS * n_batches * per_mask
    shadow_model = 100 * n_batches / 2 * per_step
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    return relative(
        f"relearning of {n_candidates} clips by a HuBERT of {parameters:.0f}M parameters, estimated",
        seconds,
        "training of a shadow model, 100 epochs, estimated",
        shadow_model,
        device=device_name("cpu"),
        unit="s of processor time",
        note=f"{per_step:.1f} s per step, {per_mask:.2f} s per mask, batches of {BATCH_SECONDS:g} s",
    )


def _training_recordings(audio: AudioCache, ids: Sequence[str]) -> TrainingRecordings:
    recordings = TrainingRecordings(audio, ids, n_batches=1, batch_seconds=BATCH_SECONDS)
    return recordings.of(ids, seed=0)


def _seconds(run: object) -> float:
    """Measure the processor time of the second of two runs."""
    assert callable(run)
    run()
    start = time.process_time()
    run()
    return time.process_time() - start
