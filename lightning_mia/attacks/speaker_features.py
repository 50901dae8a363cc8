"""How a speaker's recordings lie to each other, and to those of other speakers: the features of SLMIA-SR.

Chen, Zhang and Song (2024, NDSS), section IV, and their code. Training makes a speaker's recordings more alike (intra),
and less like those of others, whom the adversary brings along (inter). Embeddings have length 1 there, and so they have
here; a centroid is the mean of a speaker's embeddings, of length 1 again.
"""

from collections.abc import Sequence

import numpy as np

N_INTRA, N_INTER = 24, 96


def intra_features(vectors: np.ndarray) -> np.ndarray:
    """Similarities within one speaker.

    Cosines to the centroid; cosines of all pairs; and the mean, standard deviation, maximum and minimum of each
    recording's cosines with the others. Of each of the six, four statistics.

    Args:
        vectors: (n, dim), one a recording, n of 2 or more.

    Returns:
        (24,) float64.
    """
    unit = unit_vectors(vectors)
    n = len(unit)
    cosines = unit @ unit.T
    others = cosines[~np.eye(n, dtype=bool)].reshape(n, n - 1)  # each recording's, without itself
    sets = [unit @ centroid(unit), cosines[np.triu_indices(n, 1)], *statistics(others, axis=1)]
    return np.concatenate([statistics(one) for one in sets])


def inter_features(vectors: np.ndarray, imposters: Sequence[np.ndarray]) -> np.ndarray:
    """Dissimilarities, 1 − cosine, between one speaker and imposters.

    Between centroids (1 set); between the centroid and the imposters' recordings (all together, and four statistics of
    each imposter's: 5 sets); between the recordings and the imposters' centroids (all together, four statistics of each
    recording's and four of each imposter's: 9 sets); and between the recordings of both (9 sets, with each recording
    of an imposter in the imposter's place). Of each of the 24, four statistics.

    Args:
        vectors: (n, dim), one a recording.
        imposters: (m, dim) each, one a recording.

    Returns:
        (96,) float64.
    """
    unit, theirs = unit_vectors(vectors), [unit_vectors(one) for one in imposters]
    own, centroids = centroid(unit), np.stack([centroid(one) for one in theirs])
    to_each = [1 - one @ own for one in theirs]
    to_centroids, to_recordings = 1 - unit @ centroids.T, 1 - unit @ np.concatenate(theirs).T  # (n, others)
    sets = [1 - centroids @ own, np.concatenate(to_each), *np.array([statistics(one) for one in to_each]).T]
    for matrix in (to_centroids, to_recordings):
        sets += [matrix.ravel(), *statistics(matrix, axis=1), *statistics(matrix, axis=0)]
    return np.concatenate([statistics(one) for one in sets])


def statistics(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean, standard deviation, maximum and minimum along an axis: (4, …).

    >>> statistics(np.array([1.0, 3.0]))
    array([2., 1., 3., 1.])
    """
    return np.stack([values.mean(axis), values.std(axis), values.max(axis), values.min(axis)])


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """(n, dim) → the same of length 1, float64."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def centroid(unit: np.ndarray) -> np.ndarray:
    """Mean of unit vectors (n, dim), of length 1: (dim,)."""
    return unit_vectors(unit.mean(axis=0))
