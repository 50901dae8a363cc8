import itertools

import numpy as np
import pytest

from lightning_mia.attacks.classifiers.speaker_features import inter_features, intra_features


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))


def four(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [mean, variance**0.5, max(values), min(values)]


def mean_of(vectors: np.ndarray) -> np.ndarray:
    return sum(vector / np.sqrt(vector @ vector) for vector in vectors) / len(vectors)


def slow_intra(vectors: np.ndarray) -> list[float]:
    places = range(len(vectors))
    sets = [[cosine(vector, mean_of(vectors)) for vector in vectors]]
    sets.append([cosine(vectors[i], vectors[j]) for i, j in itertools.combinations(places, 2)])
    each = [four([cosine(vectors[i], vectors[j]) for j in places if j != i]) for i in places]
    sets += [[one[place] for one in each] for place in range(4)]
    return [number for one in sets for number in four(one)]


def slow_inter(vectors: np.ndarray, imposters: list[np.ndarray]) -> list[float]:
    own, centroids = mean_of(vectors), [mean_of(one) for one in imposters]
    everyone = [vector for one in imposters for vector in one]
    sets = [[1 - cosine(own, one) for one in centroids], [1 - cosine(own, one) for one in everyone]]
    each = [four([1 - cosine(own, vector) for vector in one]) for one in imposters]
    sets += [[one[place] for one in each] for place in range(4)]
    for others in (centroids, everyone):
        sets.append([1 - cosine(vector, other) for vector in vectors for other in others])
        by_recording = [four([1 - cosine(vector, other) for other in others]) for vector in vectors]
        by_other = [four([1 - cosine(vector, other) for vector in vectors]) for other in others]
        sets += [[one[place] for one in each] for each in (by_recording, by_other) for place in range(4)]
    return [number for one in sets for number in four(one)]


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
    mean_spread_max_min = [1, 0, 1, 1]
    np.testing.assert_allclose(intra_features(vectors[None])[0, :8], 2 * mean_spread_max_min, atol=1e-12)
    opposite = [-vectors, -vectors]
    np.testing.assert_allclose(inter_features(vectors[None], opposite)[0, :8], 2 * [2, 0, 2, 2], atol=1e-12)
