"""Prediction targets of surrogate heads, computed from the waveform."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import HOP, LogMel, normalise
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.signals.surrogate.linear_heads import discriminant, ridge
from lightning_mia.utilities.ranges import Range, Seed, Weight, check_ranges

MFCC_HOP = 2 * HOP  # samples, 20 ms
N_MFCC_MELS = 40

FrameTargets = Callable[[Tensor, Tensor, int, int], Tensor]
"""Computes the targets of every frame.

Args:
    waveforms: (batch, samples) float32.
    lengths: (batch,) real samples.
    frames: encoder frames of the longest recording.
    stride: hop between encoder frames (samples).

Returns:
    (batch, frames, numbers) float32, arbitrary on padding.
"""


@dataclass(frozen=True)
class HiddenTarget(ABC):
    """Base class of prediction targets; subclasses are frozen dataclasses."""

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Check the ranges of the fields' types."""
        check_ranges(type(self), vars(self), f"{type(self).__name__}.")

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that change the signals."""
        return {"target": self.name, **asdict(self)}

    @abstractmethod
    def prepare(self, auxiliary: Iterable[Batch]) -> FrameTargets:
        """Fit the target, such as clusters, on auxiliary recordings."""

    @abstractmethod
    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Fit the head to sums over frames; see `lightning_mia.signals.surrogate.linear_heads.ridge`."""

    @abstractmethod
    def errors(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Compute prediction errors, (…, numbers) each → (…) float64."""

    @abstractmethod
    def score(self, error: Tensor) -> Tensor:
        """Convert a mean error to a signal, higher = better."""


@dataclass(frozen=True)
class LogMelFrames(HiddenTarget):
    """Log-mel frames, normalised per recording.

    The signal is −log of the mean absolute error.

    Encoder frames that are 20 ms apart predict two frames of 10 ms.

    Args:
        n_mels: mel bands.
        ridge: ridge penalty, as a fraction of an input's variance.

    Example:
        >>> targets = LogMelFrames(n_mels=20).prepare([])
        >>> targets(torch.zeros(1, 1600), torch.tensor([1600]), 4, 320).shape  # 2 × 20 numbers for a hop of 20 ms
        torch.Size([1, 4, 40])
    """

    name = "log_mel"

    n_mels: Annotated[int, Range(1, 128)] = 80
    ridge: Weight = 1e-2

    def prepare(self, auxiliary: Iterable[Batch]) -> FrameTargets:
        """Return the log-mel frames as targets.

        Shape: (batch, frames, n_mels × frames of 10 ms per stride).
        """
        return self._frames

    def _frames(self, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
        log_mel = LogMel(self.n_mels).to(waveforms.device)
        n_frames = log_mel.frame_lengths(lengths)
        normalised = normalise(log_mel(waveforms), n_frames)
        offsets = range(max(1, round(stride / HOP)))
        return torch.cat([_align(normalised, n_frames, frames, stride, HOP, offset) for offset in offsets], dim=2)

    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Fit ridge regression."""
        return ridge(squares, products, self.ridge)

    def errors(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Average the absolute error over bands."""
        return (predictions - targets).abs().mean(dim=-1, dtype=torch.float64)

    def score(self, error: Tensor) -> Tensor:
        """Return −log of the error."""
        return -error.log()


@dataclass(frozen=True)
class AdversarysClusters(HiddenTarget):
    """k-means clusters of MFCC frames, fitted on auxiliary recordings.

    The signal is the log-odds of the true cluster.

    HuBERT's targets are such clusters, fitted on its members.

    Args:
        n_clusters: maximum number of clusters; at most an eighth of the number of auxiliary frames.
        shrinkage: shrinkage of the discriminant, as a fraction of an input's variance within clusters. With few frames
            per cluster, the head's noise differs from model to model: strong shrinkage works far better.
        seed: seed of the k-means.

    Example:
        >>> AdversarysClusters(n_clusters=100).fingerprint()
        {'target': 'clusters', 'n_clusters': 100, 'shrinkage': 3.0, 'seed': 0}
    """

    name = "clusters"

    n_clusters: Annotated[int, Range(2, 65_536)] = 50
    shrinkage: Weight = 3.0  # not named `ridge`: a config that changes the class would keep the value of `LogMelFrames`
    seed: Seed = 0

    def prepare(self, auxiliary: Iterable[Batch]) -> FrameTargets:
        """Fit the k-means and return one-hot clusters, (batch, frames, clusters).

        The fit runs on the CPU, one recording after the other in the order of ids, so that batching has no effect.
        """
        waveforms = {
            name: waveform[:length].cpu()
            for batch in auxiliary
            for name, waveform, length in zip(batch.ids, batch.waveforms, batch.lengths.tolist(), strict=True)
        }
        log_mel = LogMel(N_MFCC_MELS)
        recordings = [
            (log_mel(waveform.unsqueeze(0)), log_mel.frame_lengths(torch.tensor([len(waveform)])))
            for _, waveform in sorted(waveforms.items())
        ]
        n_frames = sum(int(((lengths + 1) // 2).sum()) for _, lengths in recordings)
        kmeans = MFCCClusters(N_MFCC_MELS, max(2, min(self.n_clusters, n_frames // 8)))
        kmeans.fit(recordings, self.seed)
        return partial(_one_hot_clusters, kmeans)

    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Fit linear discriminant analysis."""
        return discriminant(squares, products, self.shrinkage)

    def errors(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return −log of the true cluster's probability."""
        return -(predictions.double().log_softmax(dim=-1) * targets).sum(dim=-1)

    def score(self, error: Tensor) -> Tensor:
        """Return the log-odds of the geometric mean probability."""
        return -error - torch.log(-torch.expm1(-error.clamp(min=1e-12)))


def _one_hot_clusters(kmeans: MFCCClusters, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
    log_mel, kmeans = LogMel(N_MFCC_MELS).to(waveforms.device), kmeans.to(waveforms.device)
    n_frames = log_mel.frame_lengths(lengths)
    one_hot = F.one_hot(kmeans(log_mel(waveforms), n_frames), len(kmeans.centroids)).float()
    return _align(one_hot, (n_frames + 1) // 2, frames, stride, MFCC_HOP)


def _align(features: Tensor, lengths: Tensor, frames: int, stride: int, hop: int, offset: int = 0) -> Tensor:
    """Select the feature frame of each encoder frame.

    It starts with the encoder frame, or `offset` feature frames later. Beyond a recording's end, its last real feature
    frame is repeated.

    Args:
        features: (batch, feature frames, numbers).
        lengths: (batch,) real feature frames.
        frames: encoder frames.
        stride: hop between encoder frames (samples).
        hop: hop between feature frames (samples).
        offset: shift, in feature frames.
    """
    positions = torch.arange(frames, device=features.device) * stride // hop + offset
    positions = positions.minimum(lengths.unsqueeze(1) - 1)  # (batch, frames)
    return features.gather(1, positions.unsqueeze(2).expand(-1, -1, features.shape[2]))
