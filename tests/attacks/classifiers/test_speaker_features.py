import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from lightning_mia.attacks.classifiers.speaker_features import inter_features, intra_features


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))


def four_statistics(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [mean, variance**0.5, max(values), min(values)]


def mean_of(vectors: np.ndarray) -> np.ndarray:
    return sum(vector / np.sqrt(vector @ vector) for vector in vectors) / len(vectors)


def slow_intra(vectors: np.ndarray) -> list[float]:
    places = range(len(vectors))
    sets: list[Sequence[float]] = [[cosine(vector, mean_of(vectors)) for vector in vectors]]
    sets.append([cosine(vectors[i], vectors[j]) for i, j in itertools.combinations(places, 2)])
    by_recording = [four_statistics([cosine(vectors[i], vectors[j]) for j in places if j != i]) for i in places]
    sets += zip(*by_recording, strict=True)
    return [number for values in sets for number in four_statistics(values)]


def slow_inter(vectors: np.ndarray, imposters: list[np.ndarray]) -> list[float]:
    own, centroids = mean_of(vectors), [mean_of(imposter) for imposter in imposters]
    recordings = [vector for imposter in imposters for vector in imposter]
    sets: list[Sequence[float]] = [[1 - cosine(own, other) for other in others] for others in (centroids, recordings)]
    by_imposter = [four_statistics([1 - cosine(own, vector) for vector in imposter]) for imposter in imposters]
    sets += zip(*by_imposter, strict=True)
    for others in (centroids, recordings):
        sets.append([1 - cosine(vector, other) for vector in vectors for other in others])
        by_recording = [four_statistics([1 - cosine(vector, other) for other in others]) for vector in vectors]
        by_other = [four_statistics([1 - cosine(vector, other) for vector in vectors]) for other in others]
        sets += [*zip(*by_recording, strict=True), *zip(*by_other, strict=True)]
    return [number for values in sets for number in four_statistics(values)]


@pytest.mark.parametrize("n", [2, 3, 7])
def test_features_equal_loops(n: int) -> None:
    rng = np.random.default_rng(n)
    vectors = rng.standard_normal((3, n, 5)).astype(np.float32)
    imposters = [3 * rng.standard_normal((m, 5)) for m in (2, 4, 3)]
    intra, inter = intra_features(vectors), inter_features(vectors, imposters)
    assert intra.shape == (3, 24) and inter.shape == (3, 96)
    for speaker, own in enumerate(vectors.astype(float)):
        np.testing.assert_allclose(intra[speaker], slow_intra(own), atol=1e-9)
        np.testing.assert_allclose(inter[speaker], slow_inter(own, imposters), atol=1e-9)


def test_features_of_equal_recordings_and_invariance_to_length() -> None:
    vectors = np.outer([1.0, 2.0, 30.0], [1.0, 2.0, 2.0])
    mean_deviation_max_min = [1, 0, 1, 1]
    np.testing.assert_allclose(intra_features(vectors[None])[0, :8], 2 * mean_deviation_max_min, atol=1e-12)
    opposite = [-vectors, -vectors]
    np.testing.assert_allclose(inter_features(vectors[None], opposite)[0, :8], 2 * [2, 0, 2, 2], atol=1e-12)
