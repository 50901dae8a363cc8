"""The tool that measures what clusters alone reveal, on planted inertias."""

import numpy as np
import pytest

from tools.codebook_leak import aurocs

N_PAIRS, N_RECORDINGS = 4, 2000


def members() -> np.ndarray:
    halves = np.random.default_rng(0).random((N_PAIRS, N_RECORDINGS)) < 0.5
    return np.stack([half for first in halves for half in (first, ~first)])


def plant(gain: float) -> np.ndarray:
    """Recordings of very different inertia, lower by `gain` where fitted on."""
    rng = np.random.default_rng(1)
    difficulty = 10 * rng.standard_normal(N_RECORDINGS)
    return difficulty + 0.1 * rng.standard_normal((2 * N_PAIRS, N_RECORDINGS)) - gain * members()


def test_a_leak_is_found_relative_to_other_clusters() -> None:
    alone, relative = aurocs(plant(1.0), members())
    assert np.mean(alone) < 0.6
    assert min(relative) > 0.99


def test_clusters_that_memorise_nothing_are_at_chance() -> None:
    alone, relative = aurocs(plant(0.0), members())
    assert np.mean(alone) == pytest.approx(0.5, abs=0.02)
    assert np.mean(relative) == pytest.approx(0.5, abs=0.02)
