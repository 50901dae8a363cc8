"""How a speaker's recordings lie to each other, and to those of other speakers: the features of SLMIA-SR.

Chen, Zhang and Song (2024, NDSS), section IV, and their code. Training makes a speaker's recordings more alike (intra),
and less like those of others, whom the adversary brings along (inter). Embeddings have length 1 there, and so they have
here; a centroid is the mean of a speaker's embeddings, of length 1 again.
"""

from collections.abc import Sequence

import numpy as np

N_INTRA, N_INTER = 24, 96


def intra_features(vectors: np.ndarray) -> np.ndarray:
    """Similarities within speakers.

    Cosines to the centroid; cosines of all pairs; and the mean, standard deviation, maximum and minimum of each
    recording's cosines with the others. Of each of the six, four statistics.

    Args:
        vectors: (speakers, n, dim), one a recording, n of 2 or more.

    Returns:
        (speakers, 24) float64.
    """
    unit = unit_vectors(vectors)
    speakers, n, _ = unit.shape
    cosines = unit @ unit.swapaxes(1, 2)  # (speakers, n, n)
    others = cosines[:, ~np.eye(n, dtype=bool)].reshape(speakers, n, n - 1)  # each recording's, without itself
    first, second = np.triu_indices(n, 1)
    to_centroid = np.einsum("snd,sd->sn", unit, centroid(unit))
    return _of_sets([to_centroid, cosines[:, first, second], *statistics(others)])


def inter_features(vectors: np.ndarray, imposters: Sequence[np.ndarray]) -> np.ndarray:
    """Dissimilarities, 1 − cosine, between speakers and imposters.

    Between centroids (1 set); between the centroid and the imposters' recordings (all together, and four statistics of
    each imposter's: 5 sets); between the recordings and the imposters' centroids (all together, four statistics of each
    recording's and four of each imposter's: 9 sets); and between the recordings of both (9 sets, with each recording
    of an imposter in the imposter's place). Of each of the 24, four statistics.

    Args:
        vectors: (speakers, n, dim), one a recording.
        imposters: (m, dim) each, one a recording.

    Returns:
        (speakers, 96) float64.
    """
    unit, theirs = unit_vectors(vectors), [unit_vectors(one) for one in imposters]
    own, centroids = centroid(unit), np.stack([centroid(one) for one in theirs])
    to_each = [1 - own @ one.T for one in theirs]  # (speakers, m)
    of_each = np.stack([statistics(one) for one in to_each], axis=-1)  # (4, speakers, imposters)
    sets = [1 - own @ centroids.T, np.concatenate(to_each, axis=1), *of_each]
    for others in (centroids, np.concatenate(theirs)):
        between = 1 - unit @ others.T  # (speakers, n, others)
        by_other = statistics(between.swapaxes(1, 2))
        sets += [between.reshape(len(between), -1), *statistics(between), *by_other]
    return _of_sets(sets)


def statistics(values: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, maximum and minimum along the last axis: (…, n) → (4, …).

    >>> statistics(np.array([1.0, 3.0]))
    array([2., 1., 3., 1.])
    """
    return np.stack([values.mean(-1), values.std(-1), values.max(-1), values.min(-1)])


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """(…, dim) → the same of length 1, float64."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def centroid(unit: np.ndarray) -> np.ndarray:
    """Mean of unit vectors (…, n, dim), of length 1: (…, dim)."""
    return unit_vectors(unit.mean(axis=-2))


def _of_sets(sets: Sequence[np.ndarray]) -> np.ndarray:
    """Four statistics of each of the sets (speakers, values), one set after the other: (speakers, 4 × sets)."""
    return np.concatenate([statistics(one).T for one in sets], axis=1)
