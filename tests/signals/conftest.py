"""Something like speech, and tiny models with random weights to ask about it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lightning_mia.corpora.loading.batch import Batch, collate
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.tera import TERA

SAMPLE_RATE = 16_000


def recording(seconds: float, seed: int) -> np.ndarray:
    """A harmonic tone in syllables, with a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * np.cumsum(rng.uniform(90, 220) * (1 + 0.1 * np.sin(8 * time))) / SAMPLE_RATE
    tone = sum(rng.uniform(0.2, 1) * np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0.3, 1.2)), 0, 1)
    return (0.1 * (tone * syllables + 0.02 * rng.standard_normal(len(time)))).astype(np.float32)


@pytest.fixture(scope="session")
def speech() -> Callable[..., Batch]:
    """`speech(0.4, 1.0, …)`: a batch of recordings of these lengths (seconds), named a, b, …."""

    def make(*seconds: float) -> Batch:
        return collate([(chr(97 + i), recording(duration, i), "no") for i, duration in enumerate(seconds)])

    return make


@pytest.fixture(scope="session")
def tera() -> SpeechModel:
    torch.manual_seed(0)
    return TERA(dim=16, n_heads=2, feedforward_dim=32).eval()
