"""Features of SLMIA-SR: similarities within and between speakers.

Chen, Zhang and Song (2024, NDSS), section IV, and their code. Training moves a speaker's recordings closer together
(intra-speaker features) and away from those of imposters, speakers supplied by the adversary (inter-speaker features).
Embeddings and centroids, the mean embeddings of speakers, are normalised to length 1.
"""

from collections.abc import Sequence

import numpy as np

N_INTRA, N_INTER = 24, 96


def intra_features(vectors: np.ndarray) -> np.ndarray:
    """Compute similarities within speakers.

    Six sets, each summarised by four statistics: cosines to the centroid; cosines of all pairs; and the mean, standard
    deviation, maximum and minimum of each recording's cosines to the others.

    Args:
        vectors: (speakers, n, dim), one per recording, n ≥ 2.

    Returns:
        (speakers, 24) float64.
    """
    unit = unit_vectors(vectors)
    speakers, n, _ = unit.shape
    cosines = unit @ unit.swapaxes(1, 2)  # (speakers, n, n)
    to_others = cosines[:, ~np.eye(n, dtype=bool)].reshape(speakers, n, n - 1)
    first, second = np.triu_indices(n, 1)
    to_centroid = np.einsum("snd,sd->sn", unit, centroid(unit))
    return _set_statistics([to_centroid, cosines[:, first, second], *statistics(to_others)])


def inter_features(vectors: np.ndarray, imposters: Sequence[np.ndarray]) -> np.ndarray:
    """Compute dissimilarities, 1 − cosine, between speakers and imposters.

    24 sets, each summarised by four statistics: between the centroids of both (1 set); between the centroid and the
    imposters' recordings (all, and four statistics per imposter: 5 sets); between the recordings and the imposters'
    centroids (all, and four statistics per recording and per imposter: 9 sets); and between the recordings of both (9
    sets, with statistics per recording of either).

    Args:
        vectors: (speakers, n, dim), one per recording.
        imposters: (m, dim) of each imposter, one per recording.

    Returns:
        (speakers, 96) float64.
    """
    unit, imposter_units = unit_vectors(vectors), [unit_vectors(imposter) for imposter in imposters]
    centroids, imposter_centroids = centroid(unit), np.stack([centroid(imposter) for imposter in imposter_units])
    to_imposters = [1 - centroids @ imposter.T for imposter in imposter_units]  # (speakers, m)
    by_imposter = np.stack([statistics(distances) for distances in to_imposters], axis=-1)  # (4, speakers, imposters)
    sets = [1 - centroids @ imposter_centroids.T, np.concatenate(to_imposters, axis=1), *by_imposter]
    for others in (imposter_centroids, np.concatenate(imposter_units)):
        between = 1 - unit @ others.T  # (speakers, n, others)
        by_other = statistics(between.swapaxes(1, 2))
        sets += [between.reshape(len(between), -1), *statistics(between), *by_other]
    return _set_statistics(sets)


def statistics(values: np.ndarray) -> np.ndarray:
    """Compute four statistics along the last axis.

    Mean, standard deviation, maximum and minimum, (…, n) → (4, …).

    >>> statistics(np.array([1.0, 3.0]))
    array([2., 1., 3., 1.])
    """
    return np.stack([values.mean(-1), values.std(-1), values.max(-1), values.min(-1)])


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (…, dim) to length 1, float64."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def centroid(unit: np.ndarray) -> np.ndarray:
    """Average unit vectors (…, n, dim) and scale to length 1, (…, dim)."""
    return unit_vectors(unit.mean(axis=-2))


def _set_statistics(sets: Sequence[np.ndarray]) -> np.ndarray:
    """Compute four statistics of each set (speakers, values), (speakers, 4 × sets)."""
    return np.concatenate([statistics(values).T for values in sets], axis=1)
