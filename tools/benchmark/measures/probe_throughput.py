"""Probe throughput against the seconds of a batch, the size of the model, and the processes that read audio."""

from collections.abc import Iterator

import torch

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.models import SpeechModel
from tools.benchmark.loops import audio_per_second, probing_batches, probing_step
from tools.benchmark.rows import Row
from tools.benchmark.sweeps import CURVES, sweep

__all__ = ["CURVES", "measure"]


def measure(quick: bool) -> Iterator[Row]:
    """Audio seconds per second of the signals that every audit takes, nine queries a recording."""
    torch.backends.cudnn.allow_tf32 = False  # as in a probe
    return sweep("probe", _rate, quick)


def _rate(
    model: SpeechModel, audio: AudioCache, batch_seconds: float, workers: int, device: str, seconds: float
) -> float:
    return audio_per_second(probing_step(model), probing_batches(audio, batch_seconds, workers), device, seconds)
