from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from lightning_mia.models.layers.features import MFCC, LogMel
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.utilities.errors import InputError

MakeBatch = Callable[..., tuple[Tensor, Tensor]]


def frames_of(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    return LogMel(40)(waveforms), LogMel.frame_lengths(lengths)


def test_labels_equal_scikit_learn(make_batch: MakeBatch) -> None:
    log_mel, n_frames = frames_of(*make_batch(0.1, 0.5, 1.3))
    clusters = MFCCClusters(40, n_clusters=7)
    clusters.fit([(log_mel, n_frames)], seed=3)

    mfcc = MFCC(40)(log_mel, n_frames)
    frames = np.concatenate([row[: (n + 1) // 2] for row, n in zip(mfcc.numpy(), n_frames.tolist(), strict=True)])
    standardised = ((frames - frames.mean(axis=0)) / frames.std(axis=0)).astype(np.float32)
    oracle = MiniBatchKMeans(7, batch_size=10_000, n_init=5, random_state=3).fit(standardised)
    labels = clusters(log_mel, n_frames)
    ours = np.concatenate([row[: (n + 1) // 2] for row, n in zip(labels.numpy(), n_frames.tolist(), strict=True)])
    assert (ours == oracle.predict(standardised)).mean() > 0.99  # the two standardise with different roundings
    assert len(np.unique(ours)) == 7


def test_labels_are_the_nearest_centroids(make_batch: MakeBatch) -> None:
    log_mel, n_frames = frames_of(*make_batch(0.5, 1.3))
    clusters = MFCCClusters(40, n_clusters=5)
    clusters.fit([(log_mel, n_frames)], seed=0)
    x = (MFCC(40)(log_mel, n_frames) - clusters.mean) / clusters.scale
    distances = torch.cdist(x.double(), clusters.centroids.double())
    chosen = distances.gather(2, clusters(log_mel, n_frames).unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(chosen, distances.min(dim=2).values, rtol=1e-5, atol=1e-5)


def test_centroids_do_not_depend_on_batching(make_batch: MakeBatch) -> None:
    waveforms, lengths = make_batch(0.2, 0.5, 1.3)
    together, apart = MFCCClusters(40, 6), MFCCClusters(40, 6)
    together.fit([frames_of(waveforms, lengths)], seed=0)
    apart.fit([frames_of(w[None, :n], n[None]) for w, n in zip(waveforms, lengths, strict=True)], seed=0)
    torch.testing.assert_close(together.centroids, apart.centroids, rtol=1e-4, atol=1e-4)
    assert together.fitted


def test_more_clusters_than_frames_are_refused(make_batch: MakeBatch) -> None:
    with pytest.raises(InputError, match="50 clusters cannot be fitted on 4 frames"):
        MFCCClusters(40, 50).fit([frames_of(*make_batch(0.1))], seed=0)


def test_single_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2"):
        MFCCClusters(40, 1)
