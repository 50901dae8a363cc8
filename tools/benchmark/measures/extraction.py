"""Hidden states of Hugging Face encoders: our batches against transformers itself, one clip at a time.

Encoders with random weights are saved by transformers, and asked for the last hidden states of the same clips: one at
a time by transformers with the checkpoint's own feature extractor, and in our mask-aware batches of neighbouring
lengths. Both take turns in one process, on one thread; the quickest of a few rounds counts, in seconds of processor
time, which busy neighbours hardly disturb. The same for bf16 autocast against our float32.
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
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, batches_for
from lightning_mia.models.huggingface import HuggingFaceEncoder, load_encoder
from tools.benchmark.corpora import speech
from tools.benchmark.devices import name_of
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
AUDIO_SECONDS = {"tiny": 240.0, "small": 120.0, "base": 48.0}  # of all clips together
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
    """Audio seconds per second: all families at the tiny size, and the first at every size."""
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
    """Clips of evenly drawn lengths, together at least `audio_seconds` long."""
    rng, left = np.random.default_rng(0), audio_seconds
    clips: list[np.ndarray] = []
    while left > 0:
        samples = int(rng.uniform(shortest, longest) * SAMPLE_RATE)
        start = int(rng.integers(len(recording) - samples))
        clips.append(recording[start : start + samples])
        left -= samples / SAMPLE_RATE
    return clips


@torch.inference_mode()
def one_at_a_time(model: Any, preprocessor: Any, clips: list[np.ndarray]) -> list[Tensor]:
    """Last hidden states by transformers alone."""
    answers = []
    for clip in clips:
        inputs = preprocessor(clip, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        answers.append(model(**inputs).last_hidden_state[0])
    return answers


@torch.inference_mode()
def in_batches(encoder: HuggingFaceEncoder, clips: list[np.ndarray]) -> list[Tensor]:
    """Last hidden states by us."""
    durations = [len(clip) / SAMPLE_RATE for clip in clips]
    answers: list[Tensor] = [torch.empty(0)] * len(clips)
    for batch in LengthBatches(durations, batches_for(durations, BATCH_SECONDS)):
        lengths = torch.tensor([len(clips[i]) for i in batch])
        waveforms = torch.zeros(len(batch), int(lengths.max()))
        for row, i in zip(waveforms, batch, strict=True):
            row[: len(clips[i])] = torch.from_numpy(clips[i])
        encoded = encoder(waveforms, lengths)
        for i, hidden, length in zip(batch, encoded.hidden[-1], encoded.lengths.tolist(), strict=True):
            answers[i] = hidden[:length].float()
    return answers


def timed(ask: Callable[[], list[Tensor]], best: float) -> tuple[list[Tensor], float]:
    """Answers, and the seconds of processor time, if they are the best so far."""
    start = time.process_time()
    answers = ask()
    return answers, min(best, time.process_time() - start)


def difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Largest relative difference of a clip."""
    pairs = zip(ours, theirs, strict=True)
    return max(float((a - b[: len(a)]).norm() / b[: len(a)].norm()) for a, b in pairs)


def compare(folder: str, clips: list[np.ndarray], rounds: int, what: str) -> Iterator[Row]:
    """One row in float32, and one in bf16."""
    encoder = load_encoder(folder).eval()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    alone_s = batched_s = float("inf")
    for _ in range(rounds):
        alone, alone_s = timed(lambda: one_at_a_time(model, preprocessor, clips), alone_s)
        batched, batched_s = timed(lambda: in_batches(encoder, clips), batched_s)
    seconds, device = sum(map(len, clips)) / SAMPLE_RATE, name_of("cpu")
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
        f"the same in bf16: {what}",
        seconds / half_s,
        "float32",
        seconds / batched_s,
        device=device,
        unit=UNIT,
        note=f"largest relative difference {difference(half, batched):.1e}",
    )
