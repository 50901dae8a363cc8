from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

SAMPLE_RATE = 16_000


def recording(seconds: float, seed: int) -> np.ndarray:
    """Something like speech as a 16-bit file holds it: syllables of a harmonic tone, digital silence between."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    tone = sum(rng.uniform(0.2, 1) * np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0.3, 1.2)), 0, 1)
    noise = 0.02 * rng.standard_normal(len(time))
    return (np.round(3000 * (tone + noise) * syllables) / 32768).astype(np.float32)


def pad(recordings: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(samples) for samples in recordings])
    waveforms = torch.zeros(len(recordings), int(lengths.max()))
    for row, samples in zip(waveforms, recordings, strict=True):
        row[: len(samples)] = torch.from_numpy(samples)
    return waveforms, lengths


@pytest.fixture(scope="session")
def make_batch() -> Callable[..., tuple[Tensor, Tensor]]:
    """`make_batch(seconds, …, seed=0)`: zero-padded waveforms (batch, samples) and their lengths (batch,)."""

    def make(*seconds: float, seed: int = 0) -> tuple[Tensor, Tensor]:
        return pad([recording(duration, seed + i) for i, duration in enumerate(seconds)])

    return make
