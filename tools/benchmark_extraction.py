"""Hidden states of Hugging Face encoders: our batches against transformers itself, one clip at a time.

    python tools/benchmark_extraction.py

Encoders of three sizes with random weights are saved by transformers, and asked for the last hidden states of the same
clips: one at a time by transformers with the checkpoint's own feature extractor, and in our mask-aware batches of
neighbouring lengths. Both take turns in one process, on one thread; the quickest of a few rounds counts. Prints
audio-seconds per second of CPU time (busy neighbours hardly disturb it), their ratio, how far the answers are apart,
and the same for bf16 autocast against our float32.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import soundfile
import torch
import transformers
from torch import Tensor

from lightning_mia.corpus import SyntheticVoices
from lightning_mia.data.length_batches import LengthBatches, batches_for
from lightning_mia.models.huggingface import HuggingFaceEncoder, load_encoder

SAMPLE_RATE = 16_000
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


def speech() -> np.ndarray:
    """Synthetic voices laid end to end."""
    return np.concatenate(
        [soundfile.read(path, dtype="float32")[0] for path in SyntheticVoices(20, 10).table()["path"]]
    )


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
def in_batches(encoder: HuggingFaceEncoder, clips: list[np.ndarray], batch_seconds: float) -> list[Tensor]:
    """Last hidden states by us."""
    durations = [len(clip) / SAMPLE_RATE for clip in clips]
    answers: list[Tensor] = [torch.empty(0)] * len(clips)
    for batch in LengthBatches(durations, batches_for(durations, batch_seconds)):
        lengths = torch.tensor([len(clips[i]) for i in batch])
        waveforms = torch.zeros(len(batch), int(lengths.max()))
        for row, i in zip(waveforms, batch, strict=True):
            row[: len(clips[i])] = torch.from_numpy(clips[i])
        encoded = encoder(waveforms, lengths)
        for i, hidden, length in zip(batch, encoded.hidden[-1], encoded.lengths.tolist(), strict=True):
            answers[i] = hidden[:length].float()
    return answers


def timed(ask: Callable[[], list[Tensor]], best: float) -> tuple[list[Tensor], float]:
    start = time.process_time()
    answers = ask()
    return answers, min(best, time.process_time() - start)


def difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Largest relative difference of a clip."""
    pairs = zip(ours, theirs, strict=True)
    return max(float((a - b[: len(a)]).norm() / b[: len(a)].norm()) for a, b in pairs)


def compare(folder: str, clips: list[np.ndarray], batch_seconds: float, rounds: int, bf16: bool) -> str:
    encoder = load_encoder(folder).eval()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    preprocessor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    alone_s = batched_s = float("inf")
    for _ in range(rounds):
        alone, alone_s = timed(lambda: one_at_a_time(model, preprocessor, clips), alone_s)
        batched, batched_s = timed(lambda: in_batches(encoder, clips, batch_seconds), batched_s)
    seconds = sum(map(len, clips)) / SAMPLE_RATE
    line = (
        f"{seconds / alone_s:13.1f}  {seconds / batched_s:10.1f}  {alone_s / batched_s:5.2f}  "
        f"{difference(batched, alone):10.1e}"
    )
    if not bf16:
        return line
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, half_s = timed(lambda: in_batches(encoder, clips, batch_seconds), float("inf"))
    return f"{line}  {seconds / half_s:8.1f}  {batched_s / half_s:5.2f}  {difference(half, batched):10.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", nargs="*", default=["wav2vec2"], choices=list(FAMILIES))
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--batch_seconds", type=float, default=32.0, help="audio in one of our batches")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--float32_only", action="store_true", help="leave out bf16, slow where a CPU emulates it")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    recording = speech()
    print("family               size   clips   alone s/s  batched s/s  ratio  difference  bf16 s/s  ratio  difference")
    for family in arguments.families:
        for size in arguments.sizes:
            torch.manual_seed(0)
            with tempfile.TemporaryDirectory() as folder:
                model = transformers.AutoModel.from_config(FAMILIES[family](SIZES[size]))
                model.save_pretrained(folder)
                transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
                for shortest, longest in ((1.0, 1.0), (2.0, 10.0)):
                    clips = cut(recording, AUDIO_SECONDS[size], shortest, longest)
                    result = compare(
                        folder, clips, arguments.batch_seconds, arguments.rounds, not arguments.float32_only
                    )
                    print(f"{family:19}  {size:5}  {shortest:.0f}–{longest:<2.0f} s {result}", flush=True)


if __name__ == "__main__":
    main()
