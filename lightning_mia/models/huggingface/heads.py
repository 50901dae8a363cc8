"""Pretext heads for Hugging Face encoders."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.layers.features import HOP, LogMel
from lightning_mia.models.objectives.cluster_prediction import cluster_collapse, cluster_logits, cluster_pretext
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Pretext

N_MELS = 40  # of the log-mel frames from which MFCC are computed, as in `HuBERT`
TARGET_HOP = 2 * HOP  # samples between MFCC frames, 20 ms

Targets = TypeVar("Targets")


class PretextHead(nn.Module, ABC, Generic[Targets]):
    """Pretext task on the encoder's last hidden states.

    Attributes:
        noise_dim: uniform numbers per frame that `score` takes.
    """

    noise_dim: int = 0

    @property
    def needs_targets(self) -> bool:
        """Whether `fit_targets` has yet to be called."""
        return False

    @property
    def learned_targets(self) -> nn.Module | None:
        """Module that holds the targets of `fit_targets`, if any."""
        return None

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the targets, if they are learned; see `SpeechModel.fit_targets`."""

    @abstractmethod
    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Targets:
        """Compute the targets of the first `n_frames` frames.

        Args:
            encoder: encoder below the head.
            frames: output of `encoder.frames`.
            waveforms: (batch, samples) float32, zero-padded on the right.
            lengths: (batch,) int64, real samples.
            n_frames: number of frames.
        """

    @abstractmethod
    def pretext(self, hidden: Tensor, targets: Targets, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Compute loss and health metrics of a training step.

        Args:
            hidden: (batch, frames, dim), the encoder's last hidden states under the masks.
            targets: output of `targets`.
            masks: (batch, frames) bool.
            frame_lengths: (batch,) int64, real frames.
        """

    @abstractmethod
    def score(
        self, hidden: Tensor, targets: Targets, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Score each recording, (batch,) float64 log-odds.

        Arguments are as in `pretext`, with noise (batch, frames, noise_dim).
        """

    @abstractmethod
    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse by the health metrics, if any."""


class ClusterHead(PretextHead[Tensor]):
    """Newly initialised head for HuBERT's task (Hsu et al. 2021).

    It predicts the clusters of masked MFCC frames. A frame's target is the cluster of the MFCC frame that begins at the
    same time. An encoder such as Whisper may have one or two frames more than there are MFCC frames; the last target is
    then repeated.

    Args:
        encoder: encoder below the head.
        n_clusters: number of k-means clusters, the targets.
        code_dim: dimension in which outputs and clusters are compared.
        seed: seed of the k-means.
    """

    def __init__(self, encoder: HuggingFaceEncoder, n_clusters: int, code_dim: int, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.stride = samples_per_frame(encoder) / TARGET_HOP  # in MFCC frames
        self.log_mel = LogMel(N_MELS)
        self.clusters = MFCCClusters(N_MELS, n_clusters)
        self.code_projection = nn.Linear(encoder.model.config.hidden_size, code_dim)
        self.codes = nn.Parameter(torch.randn(n_clusters, code_dim))

    @property
    def needs_targets(self) -> bool:
        """Whether the clusters have yet to be fitted."""
        return not bool(self.clusters.fitted)

    @property
    def learned_targets(self) -> MFCCClusters:
        """Clusters of MFCC frames."""
        return self.clusters

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the clusters on the training recordings only.

        Clusters are learned from data, and can leak membership too.
        """
        log_mel = ((self.log_mel(batch), self.log_mel.frame_lengths(lengths)) for batch, lengths in waveforms)
        self.clusters.fit(log_mel, self.seed)

    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Tensor:
        """Return the true clusters (batch, n_frames) int64; see `PretextHead.targets`."""
        mel_lengths = self.log_mel.frame_lengths(lengths)
        labels = self.clusters(self.log_mel(waveforms), mel_lengths)  # (batch, MFCC frames)
        time = torch.arange(n_frames, device=labels.device) * self.stride
        last = (mel_lengths + 1) // 2 - 1
        return labels.gather(1, time.round().long().minimum(last.unsqueeze(1)))

    def logits(self, hidden: Tensor) -> Tensor:
        """(batch, frames, dim) → (batch, frames, clusters) float32."""
        return cluster_logits(self.code_projection(hidden), self.codes)

    def pretext(self, hidden: Tensor, targets: Tensor, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Compute the cross-entropy of the true clusters over masked frames."""
        return cluster_pretext(self.logits(hidden), targets, masks)

    def score(
        self, hidden: Tensor, targets: Tensor, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Compute the log-odds of the true cluster's geometric mean probability."""
        return log_odds_of_mean(self.logits(hidden), targets, masks)

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse to a single cluster, if any."""
        return cluster_collapse(health)


def samples_per_frame(encoder: HuggingFaceEncoder) -> float:
    """Measure an encoder's hop (samples) from its frame counts."""
    lengths = torch.arange(SAMPLE_RATE, 3 * SAMPLE_RATE)
    frames = encoder.frame_lengths(lengths)
    jumps = frames.diff().nonzero().flatten()  # one sample before the number of frames grows
    return float((jumps[1] - jumps[0]) / (frames[jumps[1] + 1] - frames[jumps[1]]))
