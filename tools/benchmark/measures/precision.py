"""Training step in float32, in bf16 autocast, and with `torch.compile`.

All clips have one length, so nothing is compiled twice. Compilation is timed separately and reported in the note.
"""

import itertools
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models import CPC, TERA, HuBERT, MelHuBERT, SpeechModel, Wav2Vec2
from lightning_mia.models.checkpoint import initialise
from lightning_mia.models.outputs import Pretext
from tools.benchmark.corpora import speech
from tools.benchmark.devices import device_name, devices
from tools.benchmark.loops import Step, audio_per_second, training_step
from tools.benchmark.rows import Row, throughput

N_CLIPS, SECONDS = 16, 2.0


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput by family and device."""
    torch.set_num_threads(1)
    batch = clips()
    families: list[SpeechModel] = [TERA()] if quick else [TERA(), MelHuBERT(), HuBERT(), Wav2Vec2(), CPC()]
    for device in devices():
        for template in families:
            yield from family_rows(template, batch, device, 0.5 if quick else 8.0)


def clips() -> Batch:
    """Make one batch of clips of equal length."""
    samples = int(SECONDS * SAMPLE_RATE)
    waveforms = torch.from_numpy(speech()[: N_CLIPS * samples]).reshape(N_CLIPS, samples)
    return Batch([f"c{clip}" for clip in range(N_CLIPS)], waveforms, torch.full((N_CLIPS,), samples))


def family_rows(template: SpeechModel, batch: Batch, device: str, seconds: float) -> Iterator[Row]:
    """Measure float32, bf16, and the compiled model."""
    name, label = type(template).__name__, device_name(device)

    def new_model() -> SpeechModel:
        model = initialise(template, 0)
        if model.needs_targets:
            model.fit_targets([(batch.waveforms, batch.lengths)])
        return model.to(device)

    full = audio_per_second(training_step(new_model(), 100_000), itertools.repeat(batch), device, seconds)
    yield Row(f"training of {name} in float32", full, "audio s/s", label)
    half = audio_per_second(in_bf16(new_model(), device), itertools.repeat(batch), device, seconds)
    yield throughput(f"training of {name} in bf16", half, "float32", full, device=label)
    yield compiled(new_model(), batch, device, seconds, full)


def in_bf16(model: SpeechModel, device: str) -> Step:
    """Make a training step with autocast, as Lightning's `bf16-mixed`."""

    def pretext(waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        with torch.autocast(device, dtype=torch.bfloat16):
            return model.pretext(waveforms, lengths, masks)

    return training_step(model, 100_000, pretext)


def compiled(model: SpeechModel, batch: Batch, device: str, seconds: float, full: float) -> Row:
    """Make the row of `torch.compile`, which needs a compiler."""
    what, label = f"training of {type(model).__name__}, compiled, in float32", device_name(device)
    step = training_step(model, 100_000, torch.compile(model.pretext))
    start = time.perf_counter()
    try:
        audio_per_second(step, itertools.repeat(batch), device, 0.0)
    except Exception as error:  # any failure of the compiler; the other rows remain valid
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Row(what, None, "audio s/s", label, note=f"torch.compile fails: {reason}")
    compiling = time.perf_counter() - start
    rate = audio_per_second(step, itertools.repeat(batch), device, seconds)
    return throughput(what, rate, "float32", full, device=label, note=f"after {compiling:.0f} s of compiling")
