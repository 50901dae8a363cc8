"""Hidden states of Hugging Face encoders: our batches against transformers.

Encoders with random weights encode the same clips twice: one clip at a time by transformers with the feature extractor
of the checkpoint, and in our mask-aware batches of similar lengths. Both alternate in one process on one thread; the
fastest round counts, in seconds of processor time, which other jobs on the machine hardly disturb. The same comparison
is made for bf16 autocast against our float32.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, count_batches
from lightning_mia.models.huggingface import HuggingFaceEncoder, load_encoder
from tools.benchmark.corpora import speech
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, throughput

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "conv_dim": (32,) * 7,
        "num_conv_pos_embeddings": 32,
        "num_conv_pos_embedding_groups": 4,
    },
    "small": {
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "intermediate_size": 1536,
        "conv_dim": (256,) * 7,
    },
    "base": {},  # as published: 12 layers of 768, 512 channels
}
AUDIO_SECONDS = {"tiny": 240.0, "small": 120.0, "base": 48.0}  # total of all clips
FAMILIES = {
    "wav2vec2": lambda sizes: transformers.Wav2Vec2Config(**sizes),  # group norm
    "wav2vec2-layer-norm": lambda sizes: transformers.Wav2Vec2Config(
        **sizes, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True
    ),
    "wavlm": lambda sizes: transformers.WavLMConfig(**sizes),
    "wav2vec2-conformer": lambda sizes: transformers.Wav2Vec2ConformerConfig(**sizes),
}
LENGTHS = ((1.0, 1.0), (2.0, 10.0))  # shortest and longest clip (seconds)
BATCH_SECONDS = 32.0
UNIT = "audio s/s of processor time"


def measure(quick: bool) -> Iterator[Row]:
    """Measure throughput: all families tiny, the first at every size."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    recording = speech()
    pairs = [(family, "tiny") for family in FAMILIES]
    pairs += [] if quick else [(next(iter(FAMILIES)), size) for size in SIZES if size != "tiny"]
    for family, size in pairs:
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            model = transformers.AutoModel.from_config(FAMILIES[family](SIZES[size]))
            model.save_pretrained(folder)
            transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
            for shortest, longest in LENGTHS:
                clips = cut(recording, AUDIO_SECONDS[size] / (8 if quick else 1), shortest, longest)
                length = f"{shortest:g}–{longest:g}" if shortest < longest else f"{shortest:g}"
                yield from compare(folder, clips, 1 if quick else 3, f"{family}, {size}, {length} s clips")


def cut(recording: np.ndarray, audio_seconds: float, shortest: float, longest: float) -> list[np.ndarray]:
    """Cut clips of uniformly drawn lengths, `audio_seconds` in total."""
    rng, remaining = np.random.default_rng(0), audio_seconds
    clips: list[np.ndarray] = []
    while remaining > 0:
        samples = int(rng.uniform(shortest, longest) * SAMPLE_RATE)
        start = int(rng.integers(len(recording) - samples))
        clips.append(recording[start : start + samples])
        remaining -= samples / SAMPLE_RATE
    return clips


@torch.inference_mode()
def one_at_a_time(model: Any, preprocessor: Any, clips: list[np.ndarray]) -> list[Tensor]:
    """Compute last hidden states with transformers."""
    hidden = []
    for clip in clips:
        inputs = preprocessor(clip, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        hidden.append(model(**inputs).last_hidden_state[0])
    return hidden


@torch.inference_mode()
def in_batches(encoder: HuggingFaceEncoder, clips: list[np.ndarray]) -> list[Tensor]:
    """Compute last hidden states in our batches."""
    durations = [len(clip) / SAMPLE_RATE for clip in clips]
    result: list[Tensor] = [torch.empty(0)] * len(clips)
    for batch in LengthBatches(durations, count_batches(durations, BATCH_SECONDS)):
        lengths = torch.tensor([len(clips[i]) for i in batch])
        waveforms = torch.zeros(len(batch), int(lengths.max()))
        for row, i in zip(waveforms, batch, strict=True):
            row[: len(clips[i])] = torch.from_numpy(clips[i])
        encoded = encoder(waveforms, lengths)
        for i, hidden, length in zip(batch, encoded.hidden[-1], encoded.lengths.tolist(), strict=True):
            result[i] = hidden[:length].float()
    return result


def timed(encode: Callable[[], list[Tensor]], best: float) -> tuple[list[Tensor], float]:
    """Return hidden states, and the fewest processor seconds so far."""
    start = time.process_time()
    hidden = encode()
    return hidden, min(best, time.process_time() - start)


def difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Compute the largest relative difference over clips."""
    pairs = zip(ours, theirs, strict=True)
    return max(float((a - b[: len(a)]).norm() / b[: len(a)].norm()) for a, b in pairs)


def compare(folder: str, clips: list[np.ndarray], rounds: int, what: str) -> Iterator[Row]:
    """Make one row in float32 and one in bf16."""
    encoder = load_encoder(folder).eval()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    alone_s = batched_s = float("inf")
    for _ in range(rounds):
        alone, alone_s = timed(lambda: one_at_a_time(model, preprocessor, clips), alone_s)
        batched, batched_s = timed(lambda: in_batches(encoder, clips), batched_s)
    seconds, device = sum(map(len, clips)) / SAMPLE_RATE, device_name("cpu")
    yield throughput(
        f"hidden states of {what}",
        seconds / batched_s,
        "transformers, one at a time",
        seconds / alone_s,
        device=device,
        unit=UNIT,
        note=f"{len(clips)} clips; largest relative difference {difference(batched, alone):.1e}",
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, half_s = timed(lambda: in_batches(encoder, clips), float("inf"))
    yield throughput(
        f"hidden states in bf16 of {what}",
        seconds / half_s,
        "float32",
        seconds / batched_s,
        device=device,
        unit=UNIT,
        note=f"largest relative difference {difference(half, batched):.1e}",
    )
