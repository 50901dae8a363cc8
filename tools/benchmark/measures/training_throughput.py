"""Training throughput by batch size, model size and workers."""

from collections.abc import Iterator

from lightning_mia.corpora.audio.cache import AudioCache
from lightning_mia.models import SpeechModel
from tools.benchmark.loops import audio_per_second, training_batches, training_step
from tools.benchmark.rows import Row
from tools.benchmark.sweeps import CURVES, sweep

__all__ = ["CURVES", "measure"]


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput of a bare training loop."""
    return sweep("training", _rate, quick)


def _rate(
    model: SpeechModel, audio: AudioCache, batch_seconds: float, workers: int, device: str, seconds: float
) -> float:
    step = training_step(model, n_steps=100_000)
    return audio_per_second(step, training_batches(audio, batch_seconds, workers), device, seconds)
