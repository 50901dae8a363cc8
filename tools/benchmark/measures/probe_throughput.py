"""Probe throughput by batch size, model size and workers."""

from collections.abc import Iterator

import torch

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.models import SpeechModel
from tools.benchmark.loops import audio_per_second, probing_batches, probing_step
from tools.benchmark.rows import Row
from tools.benchmark.sweeps import CURVES, sweep

__all__ = ["CURVES", "measure"]


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput of the default signals, nine queries per recording."""
    torch.backends.cudnn.allow_tf32 = False  # as in a probe
    return sweep("probe", _rate, quick)


def _rate(
    model: SpeechModel, audio: AudioCache, batch_seconds: float, workers: int, device: str, seconds: float
) -> float:
    return audio_per_second(probing_step(model), probing_batches(audio, batch_seconds, workers), device, seconds)
