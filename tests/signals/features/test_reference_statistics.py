import numpy as np
import pytest
import torch

from lightning_mia.signals.features.reference_statistics import References, reference_statistics

N, DIM = 12, 4


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, DIM)) + 3


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def slow(query: np.ndarray, references: np.ndarray, others: list[int]) -> dict[str, float]:
    mean = references[others].mean(axis=0)
    cosines = np.array([cosine(query - mean, references[i] - references.mean(axis=0)) for i in others])
    nearest = np.sort(cosines)[::-1]
    return {
        "mean_cos": cosine(query, mean),
        "distance": float(np.linalg.norm(query - mean)),
        "nearest_cos": nearest[0],
        "nearest5_cos": nearest[:5].mean(),
        "crowd": cosines.std(),
    }


def test_statistics_equal_slow_ones_and_no_recording_is_its_own_reference(vectors: np.ndarray) -> None:
    references = References([f"r{i}" for i in range(N)], torch.from_numpy(vectors).unsqueeze(1))
    query = np.random.default_rng(1).standard_normal(DIM) + 3
    pooled = torch.from_numpy(np.stack([query, vectors[4]]))
    statistics = reference_statistics(pooled, references.pooled[:, 0], references.excluding(["q", "r4"]))
    own = slow(vectors[4], vectors, [i for i in range(N) if i != 4])
    for name, value in slow(query, vectors, list(range(N))).items():
        assert statistics[name].tolist() == pytest.approx([value, own[name]]), name
    assert statistics["nearest_cos"][1] < 0.999  # which would be 1 with itself


@pytest.mark.parametrize("n", [3, 5])
def test_few_references_and_the_same_numbers_alone(vectors: np.ndarray, n: int) -> None:
    """How many neighbours are taken does not depend on whether somebody in the batch is a reference."""
    references = References([f"r{i}" for i in range(n)], torch.from_numpy(vectors[:n]).unsqueeze(1))
    pooled = torch.from_numpy(vectors[[10, 0]])
    together = reference_statistics(pooled, references.pooled[:, 0], references.excluding(["q", "r0"]))
    alone = reference_statistics(pooled[:1], references.pooled[:, 0], references.excluding(["q"]))
    for name in alone:
        torch.testing.assert_close(together[name][:1], alone[name])
