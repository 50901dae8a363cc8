"""Training step of our wav2vec 2.0, against transformers.

Both run forward, backward and AdamW on the same batches in a bare loop. They alternate, and the median step of each
counts. Our step includes drawing masks and negatives; `Wav2Vec2ForPreTraining` receives them precomputed.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from lightning_mia.models.layers.features import normalise
from lightning_mia.models.objectives.contrastive import draw_negatives
from lightning_mia.models.wav2vec2 import Wav2Vec2
from tools.benchmark.devices import device_name
from tools.benchmark.rows import Row, relative

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"conv_channels": 32, "n_layers": 2, "dim": 64, "n_heads": 4, "feedforward_dim": 256},
    "small": {"conv_channels": 128, "n_layers": 4, "dim": 256, "n_heads": 4, "feedforward_dim": 1024},
}
BATCHES = ((16, 1.0), (4, 6.0))  # clips, seconds per clip


def measure(quick: bool) -> Iterator[Row]:
    """Measure milliseconds per step by size and batch."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    for n_clips, seconds in BATCHES:
        for size in ["tiny"] if quick else SIZES:
            pair = make_steps(size, n_clips, seconds)
            for step in pair:
                step()
            times = [[step() for step in pair] for _ in range(1 if quick else 9)]
            ours, theirs = (1000 * statistics.median(column) for column in zip(*times, strict=True))
            what = f"wav2vec 2.0 training step, {size}, {n_clips} × {seconds:g} s"
            yield relative(what, ours, "transformers", theirs, unit="ms per step", device=device_name("cpu"))


def our_model(size: str) -> Wav2Vec2:
    """Make our model with a positional convolution, which transformers requires."""
    return Wav2Vec2(**SIZES[size], position_kernel=128)


def their_model(ours: Wav2Vec2) -> Wav2Vec2ForPreTraining:
    """Make the model of transformers, of equal size, without dropout."""
    sizes = ours.hparams
    no_dropout: dict[str, Any] = dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "layerdrop"), 0.0
    )
    config = Wav2Vec2Config(
        hidden_size=sizes["dim"],
        num_hidden_layers=sizes["n_layers"],
        num_attention_heads=sizes["n_heads"],
        intermediate_size=sizes["feedforward_dim"],
        conv_dim=(sizes["conv_channels"],) * 7,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_codevectors_per_group=sizes["codebook_size"],
        codevector_dim=sizes["code_dim"],
        proj_codevector_dim=sizes["projection_dim"],
        **no_dropout,
    )
    theirs = Wav2Vec2ForPreTraining(config)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())
    return theirs


def make_step(model: torch.nn.Module, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """Make a function that times one step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=True)
    model.train()

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        return time.perf_counter() - start

    return step


def make_steps(size: str, n_clips: int, seconds: float) -> tuple[Callable[[], float], Callable[[], float]]:
    """Make our step and that of transformers."""
    ours = our_model(size)
    theirs = their_model(ours)
    lengths = torch.full((n_clips,), int(16_000 * seconds))
    waveforms = 0.1 * torch.randn(n_clips, int(lengths[0]))
    masks = ours.draw_masks(waveforms, lengths)
    noise = torch.rand(*masks.shape, ours.noise_dim)
    first_frames = torch.arange(n_clips).view(-1, 1, 1) * masks.shape[1]
    negatives = draw_negatives(masks, ours.frame_lengths(lengths), noise) + first_frames
    normalised = normalise(waveforms.unsqueeze(2), lengths).squeeze(2)

    def our_loss() -> Tensor:
        return ours.pretext(waveforms, lengths, ours.draw_masks(waveforms, lengths)).loss

    def their_loss() -> Tensor:
        return theirs(normalised, mask_time_indices=masks, sampled_negative_indices=negatives).loss / masks.sum()

    return make_step(ours, our_loss), make_step(theirs, their_loss)
