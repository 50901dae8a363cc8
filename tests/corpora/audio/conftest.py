"""Sound files in memory."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile as sf


@pytest.fixture(scope="session")
def speech() -> np.ndarray:
    """About ten seconds of coloured noise."""
    noise = np.random.default_rng(0).normal(size=161_280)
    return 0.3 * np.convolve(noise, np.ones(20) / 20, "same")


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encode samples as the content of a file."""

    def encoded(samples: np.ndarray, audio_format: str, rate: int = 16_000, **options: str) -> bytes:
        content = io.BytesIO()
        sf.write(content, samples, rate, format=audio_format, **options)
        return content.getvalue()

    return encoded
