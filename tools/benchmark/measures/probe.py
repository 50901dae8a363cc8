"""Probe against file-by-file extraction with features saved to disk.

Both read the same audio files; both encode every clip and compute the pretext score under one mask. The usual way
decodes, encodes and saves the hidden states of all layers one file at a time. The probe decodes into its cache, encodes
in batches, and keeps only the signals.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import soundfile
import torch

from lightning_mia.corpora import Manifest
from lightning_mia.corpora.audio.cache import decode
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models import TERA, HuBERT, MelHuBERT, SpeechModel
from lightning_mia.signals.base import Resources
from lightning_mia.signals.inputs.random_masks import draw_masks
from lightning_mia.signals.runner.run import probe
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from tools.benchmark.corpora import write_clips
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, throughput

CLIP_SECONDS = (1.0, 2.0, 10.0)
BATCH_SECONDS = 60.0


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput by family and clip length."""
    audio_seconds = 60.0 if quick else 600.0
    torch.set_num_threads(1)
    for seconds in CLIP_SECONDS:
        with tempfile.TemporaryDirectory() as name:
            clips = write_clips(Path(name), int(audio_seconds / seconds), seconds)
            for model in (TERA(), MelHuBERT(), HuBERT()):
                yield compare(model.eval(), clips, audio_seconds, f"{type(model).__name__}, {seconds:g} s clips")


def compare(model: SpeechModel, clips: Path, audio_seconds: float, what: str) -> Row:
    """Run both, one after the other."""
    if model.needs_targets:
        audio = decode(Manifest(str(clips)).table(), progress=False)
        rows = [torch.from_numpy(audio.waveform(clip))[None] for clip in audio.index.index[:10]]
        model.fit_targets((row, torch.tensor([row.shape[1]])) for row in rows)
    folder = clips.parent / type(model).__name__
    slow, features = one_at_a_time(model, clips, folder)
    fast, signals = by_probe(model, clips, folder)
    return throughput(
        f"probe of {what}",
        audio_seconds / fast,
        "one at a time",
        audio_seconds / slow,
        device=device_name("cpu"),
        note=f"{signals / 1e3:.1f} kB of signals, {features / 1e6:.1f} MB of features: {signals / features:.2%}",
    )


def one_at_a_time(model: SpeechModel, clips: Path, folder: Path) -> tuple[float, int]:
    """Measure seconds and bytes of extraction file by file."""
    folder.mkdir()
    start = time.perf_counter()
    for row in pd.read_csv(clips).itertuples():
        waveform = torch.from_numpy(soundfile.read(clips.parent / str(row.path), dtype="float32")[0])
        with torch.no_grad():
            lengths = torch.tensor([len(waveform)])
            encoded = model.encode(waveform[None], lengths)
            frames = model.frame_lengths(lengths).tolist()
            score = model.pretext_score(
                waveform[None], lengths, draw_masks([str(row.id)], frames, model.mask_span, 0, 0)
            )
        torch.save((torch.stack(encoded.hidden).squeeze(1), score), folder / f"{row.id}.pt")
    return time.perf_counter() - start, sum(path.stat().st_size for path in folder.iterdir())


def by_probe(model: SpeechModel, clips: Path, folder: Path) -> tuple[float, int]:
    """Measure seconds and bytes of the probe, including decoding."""
    factory = TrainerFactory({"accelerator": "cpu", "enable_progress_bar": False})
    start = time.perf_counter()
    audio = decode(Manifest(str(clips)).table(), cache_dir=folder / "cache", progress=False)
    path = folder / "signals.npz"
    settings = ProbeSettings(n_masks=1, batch_seconds=BATCH_SECONDS)
    queries = Recordings(audio, list(audio.index.index))
    make_trainer = partial(factory.for_probing, folder)
    probe(model, settings.encoder_outputs, queries, Resources(Recordings(audio, [])), settings, path, make_trainer)
    return time.perf_counter() - start, path.stat().st_size
