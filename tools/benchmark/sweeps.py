"""Loop throughput by batch size, model size and workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from lightning_mia.corpora import SyntheticVoices
from lightning_mia.corpora.audio.cache import AudioCache, decode
from lightning_mia.models import TERA, HuBERT, MelHuBERT, SpeechModel
from lightning_mia.models.checkpoint import initialise
from tools.benchmark.devices import device_name, devices
from tools.benchmark.loops import fit_targets
from tools.benchmark.rows import Curve, Point, Row

CURVES = [
    Curve("batch_seconds", "batch size (seconds of audio)", "audio seconds per second"),
    Curve("model_size", "model width (2, 4, 6 and 12 blocks)", "audio seconds per second"),
    Curve("workers", "data loader workers", "audio seconds per second"),
]
SIZES: tuple[dict[str, Any], ...] = (
    {"n_layers": 2, "dim": 64, "n_heads": 4, "feedforward_dim": 256},
    {"n_layers": 4, "dim": 192, "n_heads": 4, "feedforward_dim": 768},
    {"n_layers": 6, "dim": 384, "n_heads": 6, "feedforward_dim": 1536},
    {"n_layers": 12, "dim": 768, "n_heads": 12, "feedforward_dim": 3072},
)

Rate = Callable[[SpeechModel, AudioCache, float, int, str, float], float]
"""(model, audio, batch seconds, workers, device, minimum duration) → audio seconds per second."""


@dataclass(frozen=True)
class Extent:
    """Points of the sweeps, and time for each."""

    families: tuple[type[SpeechModel], ...]
    batch_seconds: tuple[float, ...]
    fixed_batch_seconds: float  # while something else is varied
    sizes: tuple[dict[str, Any], ...]
    workers: tuple[int, ...]
    seconds: float  # minimum duration of a measurement
    utterances_per_speaker: int


QUICK = Extent((TERA, MelHuBERT), (2, 4, 8), 8, SIZES[:2], (0, 1), 0.2, 2)
FULL = Extent((TERA, MelHuBERT, HuBERT), (2, 4, 8, 16, 32, 64, 128, 256), 32, SIZES, (0, 1, 2, 4), 8.0, 40)


def sweep(what: str, rate: Rate, quick: bool) -> Iterator[Row]:
    """Measure the three curves for every family and device.

    Args:
        what: name of the loop, such as "training".
        rate: function that measures its throughput.
        quick: few points, little time for each.
    """
    torch.set_num_threads(1)
    extent = QUICK if quick else FULL
    audio = decode(SyntheticVoices(20, extent.utterances_per_speaker).table(), progress=False)
    for device in devices():
        for family in extent.families:
            yield from _family_rows(what, rate, audio, family, device, extent)


def _family_rows(
    what: str, rate: Rate, audio: AudioCache, family: type[SpeechModel], device: str, extent: Extent
) -> Iterator[Row]:
    line = family.__name__ if device == "cpu" else f"{family.__name__}, {device_name(device)}"
    prefix = f"{what}, {family.__name__}"

    def row(model: SpeechModel, suffix: str, point: Point, batch_seconds: float, workers: int) -> Row:
        value = rate(model, audio, batch_seconds, workers, device, extent.seconds)
        return Row(f"{prefix}, {suffix}", value, "audio s/s", device_name(device), point=point)

    small, fixed = _initialised(family(), audio, device), extent.fixed_batch_seconds
    for seconds in extent.batch_seconds:
        yield row(small, f"batches of {seconds:g} s", Point("batch_seconds", line, seconds), seconds, 0)
    for workers in extent.workers:
        yield row(small, f"workers: {workers}", Point("workers", line, workers), fixed, workers)
    for size in extent.sizes:
        model = _initialised(family(**size), audio, device)
        millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
        yield row(model, f"{millions:.2g} M parameters", Point("model_size", line, size["dim"]), fixed, 0)


def _initialised(template: SpeechModel, audio: AudioCache, device: str) -> SpeechModel:
    model = initialise(template, 0)
    fit_targets(model, audio)
    return model.to(device)
