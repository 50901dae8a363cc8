"""Position of a pooled vector among reference recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.features.cosine import mean_pool
from lightning_mia.signals.features.frame_statistics import Statistics, unit_vectors
from lightning_mia.signals.runner.loop import batches

N_NEAREST = 5  # references whose mean similarity is computed


@dataclass(frozen=True)
class References:
    """Pooled vectors of reference recordings, by one model.

    Attributes:
        ids: recordings.
        pooled: (recordings, layers, dim) float64.
    """

    ids: list[str]
    pooled: Tensor

    def excluding(self, ids: Sequence[str]) -> Tensor:
        """Mark valid references, (len(ids), recordings) bool.

        A recording is not a reference for itself.
        """
        columns = {name: column for column, name in enumerate(self.ids)}
        others = torch.ones(len(ids), len(self.ids), dtype=torch.bool)
        for row, name in enumerate(ids):
            if name in columns:
                others[row, columns[name]] = False
        return others.to(self.pooled.device)


@torch.no_grad()
def pooled_references(model: SpeechModel, recordings: Recordings, batch_seconds: float) -> References:
    """Pool the hidden states of recordings.

    The model is in evaluation mode.
    """
    ids, pooled = [], []
    for batch in batches(recordings, batch_seconds, model.device):
        encoded = model.encode(batch.waveforms, batch.lengths)
        ids += batch.ids
        pooled.append(torch.stack([mean_pool(hidden, encoded.lengths) for hidden in encoded.hidden], dim=1))
    return References(ids, torch.cat(pooled))


def reference_statistics(pooled: Tensor, references: Tensor, others: Tensor) -> Statistics:
    """Compare pooled vectors with reference vectors at one layer.

    All vectors of a model point in much the same direction. Except for `mean_cos`, cosines are therefore computed after
    subtracting the mean reference.

    Args:
        pooled: (batch, dim) float64.
        references: (n, dim) float64, three or more.
        others: (batch, n) bool, False where the reference is the recording itself.

    Returns:
        (batch,) float64 each: `mean_cos`, cosine with the mean reference; `distance` from it; `nearest_cos` and
        `nearest5_cos`, with the nearest reference and the mean over the (up to) five nearest; `crowd`, the standard
        deviation of the cosines with all references.
    """
    weights = others.double() / others.sum(dim=1, keepdim=True)
    mean = weights @ references  # (batch, dim)
    centred = unit_vectors(pooled - mean)
    directions = unit_vectors(references - references.mean(dim=0))
    cosines = centred @ directions.T  # (batch, n)
    n_nearest = min(N_NEAREST, len(references) - 1)  # the same number whether or not the recording is a reference
    nearest = torch.where(others, cosines, -torch.inf).topk(n_nearest, dim=1).values
    crowd = (weights * cosines.square()).sum(dim=1) - (weights * cosines).sum(dim=1).square()
    return {
        "mean_cos": (unit_vectors(pooled) * unit_vectors(mean)).sum(dim=1),
        "distance": torch.linalg.vector_norm(pooled - mean, dim=1),
        "nearest_cos": nearest[:, 0],
        "nearest5_cos": nearest.mean(dim=1),
        "crowd": crowd.clamp(min=0.0).sqrt(),
    }
