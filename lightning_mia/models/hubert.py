"""HuBERT and MelHuBERT: predict clusters of masked frames."""

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.corpora.loading.batch import Batch, FrameAugmentation
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.models.construction import build
from lightning_mia.models.layers.convolutions import WaveformFrontEnd
from lightning_mia.models.layers.features import LogMel, normalise, padding_mask
from lightning_mia.models.layers.masking import SpanMask
from lightning_mia.models.layers.transformer import Transformer, make_positions
from lightning_mia.models.objectives.cluster_prediction import cluster_collapse, cluster_logits, cluster_pretext
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Encoded, Pretext
from lightning_mia.models.teacher_targets import TeacherClusters
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import (
    Count,
    CountOrNone,
    Dropout,
    Layer,
    Layers,
    PositiveShare,
    Rate,
    Seed,
    Share,
    Weight,
    Width,
)


class ClusterPrediction(SpeechModel):
    """Base class of HuBERT and MelHuBERT, without front end."""

    family = "hubert"

    def _build(self, frame_dim: int, n_mels: int) -> None:
        """Create all parts but the front end from the hyperparameters."""
        settings: Any = self.hparams
        self.mask_span: SpanMask = SpanMask(settings.mask_probability, settings.mask_length)
        self.log_mel = LogMel(n_mels)
        self.clusters: MFCCClusters | TeacherClusters
        if settings.targets_from is None:
            self.clusters = MFCCClusters(n_mels, settings.n_clusters)
        else:
            self.clusters = TeacherClusters(settings.targets_from, settings.targets_layer, settings.n_clusters)
        self.frame_norm = nn.LayerNorm(frame_dim)
        self.projection = nn.Linear(frame_dim, settings.dim)
        self.dropout = nn.Dropout(settings.dropout)
        self.mask_embedding = nn.Parameter(torch.empty(settings.dim).uniform_())
        self.transformer = Transformer(
            make_positions(settings.dim, settings.position_kernel, settings.position_groups),
            dim=settings.dim,
            n_layers=settings.n_layers,
            n_heads=settings.n_heads,
            feedforward_dim=settings.feedforward_dim,
            dropout=settings.dropout,
            pre_norm=settings.pre_norm,
        )
        self.code_projection = nn.Linear(settings.dim, settings.code_dim)
        self.codes = nn.Parameter(torch.randn(settings.n_clusters, settings.code_dim))

    @abstractmethod
    def _frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) → (batch, frames, frame dim), before layer norm and projection."""

    @abstractmethod
    def _frames_and_targets(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute `_frames` and their clusters, (batch, frames) int64."""

    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch, see `SpeechModel.encode`.

        A masked frame is replaced by a learned vector.
        """
        return self._transform(self._frames(waveforms, lengths), lengths, masks)

    def _transform(self, frames: Tensor, lengths: Tensor, masks: Tensor | None) -> Encoded:
        frame_lengths = self.frame_lengths(lengths)
        x = self.dropout(self.projection(self.frame_norm(frames)))  # (batch, frames, dim)
        if masks is not None:
            x = torch.where(masks.unsqueeze(2), self.mask_embedding.to(x.dtype), x)
        return Encoded(self.transformer(x, padding_mask(frame_lengths, x.shape[1])), frame_lengths)

    def _logits(self, frames: Tensor, lengths: Tensor, masks: Tensor) -> Tensor:
        """Return logits (batch, frames, clusters) float32 of the masked input."""
        hidden = self._transform(frames, lengths, masks).hidden[-1]
        return cluster_logits(self.code_projection(hidden), self.codes)

    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Compute the log-odds of the true cluster's geometric mean probability.

        See `SpeechModel.pretext_score`.

        Raises:
            RuntimeError: the clusters are not fitted.
        """
        if self.needs_targets:
            raise RuntimeError("The clusters are not fitted: call fit_targets before pretext_score")
        frames, targets = self._frames_and_targets(waveforms, lengths)
        scores = [
            log_odds_of_mean(self._logits(frames, lengths, mask), targets, mask)
            for mask in masks.reshape(-1, *masks.shape[-2:])
        ]
        return torch.stack(scores).view(masks.shape[:-1])

    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the cross-entropy of the true clusters over masked frames."""
        frames, targets = self._frames_and_targets(waveforms, lengths)
        return cluster_pretext(self._logits(frames, lengths, masks), targets, masks)

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse to a single cluster, if any."""
        reason = cluster_collapse(health)
        return f"HuBERT: {reason}" if reason else ""

    @property
    def needs_targets(self) -> bool:
        """Whether the clusters have yet to be fitted."""
        return not bool(self.clusters.fitted)

    @property
    def learned_targets(self) -> MFCCClusters | TeacherClusters:
        """Clusters, and the teacher of a second iteration."""
        return self.clusters

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the clusters on the training recordings only.

        Clusters are learned from data, and can leak membership too.
        """
        batches = ((batch.to(self.device), lengths.to(self.device)) for batch, lengths in waveforms)
        seed = self.hparams["cluster_seed"]
        if isinstance(self.clusters, TeacherClusters):
            self.clusters.fit(batches, seed, self.origin.get("split"))
        else:
            log_mel = ((self.log_mel(batch), self.log_mel.frame_lengths(lengths)) for batch, lengths in batches)
            self.clusters.fit(log_mel, seed)

    def _targets(self, waveforms: Tensor, lengths: Tensor, n_frames: int, log_mel: Tensor | None = None) -> Tensor:
        """Return the cluster of every frame, (batch, n_frames) int64.

        `log_mel` are the log-mel frames, if they are already computed.
        """
        if isinstance(self.clusters, TeacherClusters):
            return self.clusters(waveforms, lengths, n_frames)
        log_mel = self.log_mel(waveforms) if log_mel is None else log_mel
        return self.clusters(log_mel, self.log_mel.frame_lengths(lengths))[:, :n_frames]

    def _shared_settings(self) -> dict[str, Any]:
        """Drop the folder of the teacher, which is among the weights."""
        settings = super()._shared_settings()
        teacher = settings["targets_from"]
        return {**settings, "targets_from": None if teacher is None else Path(teacher).name}

    def weights_sha256(self) -> str:
        """Hash the teacher's checkpoint; empty in the first iteration."""
        return self.clusters.sha256 if isinstance(self.clusters, TeacherClusters) else ""

    def as_teacher(self, layer: int) -> "ClusterPrediction":
        """Return a frozen copy, see `SpeechModel.as_teacher`."""
        n_layers = self.hparams["n_layers"]
        if not 1 <= layer <= n_layers:
            raise InputError(f"it has layers 1 to {n_layers}, but layer {layer} is requested")
        # Keep one block above the layer: the last block's output is normalised, which would change that of the layer.
        changes = {"n_layers": min(layer + 1, n_layers), "dropout": 0.0, "targets_from": None}
        teacher = build(partial(type(self), **{**constructor_arguments(self), **changes}))
        for head in ("clusters", "code_projection", "codes"):
            delattr(teacher, head)
        kept = teacher.state_dict().keys()
        teacher.load_state_dict({name: weights for name, weights in self.state_dict().items() if name in kept})
        return teacher.requires_grad_(False)


class HuBERT(ClusterPrediction):
    """HuBERT on waveforms (Hsu et al. 2021).

    Seven convolutions, a transformer at 50 Hz; the targets are clusters of MFCC frames.

    Args:
        conv_channels: channels of the seven convolutions (published base: 512).
        conv_group_norm: normalise over time after the first convolution, as the published base does; false:
            layer norm after each convolution.
        n_layers: transformer blocks (published base: 12).
        dim: width of the hidden states (published base: 768).
        n_heads: attention heads (published base: 12).
        feedforward_dim: inner width of the feed-forward layers (published base: 3072).
        dropout: probability of dropping an activation (published base: 0.1).
        pre_norm: layer norm before each sub-layer; false: after it, as in the published base.
        position_kernel: width of the positional convolution, frames of 20 ms (published base: 128); 0: sinusoidal
            positions, which have no parameters.
        position_groups: groups of the positional convolution (published base: 16).
        n_clusters: number of k-means clusters, the targets (published base: 100, then 500).
        code_dim: dimension in which outputs and clusters are compared (published base: 256).
        mask_probability: spans × length / frames; spans overlap (published base: 0.8).
        mask_length: frames of 20 ms per masked span (published base: 10).
        learning_rate: peak learning rate of AdamW (published base: 5e-4).
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
        cluster_seed: seed of the k-means.
        targets_from: checkpoint of a HuBERT or MelHuBERT trained on the same members, for a second iteration.
        targets_layer: hidden layer of that model to cluster, instead of MFCC frames (published base: 6 of 12).

    Example:
        >>> model = HuBERT(conv_channels=8, n_layers=2, dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> encoded = model.encode(torch.randn(1, 16_000), torch.tensor([16_000]))  # 1 s
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (3, torch.Size([1, 49, 16]))
    """

    def __init__(
        self,
        conv_channels: Width = 32,
        conv_group_norm: bool = False,
        n_layers: Layers = 2,
        dim: Width = 64,
        n_heads: Width = 4,
        feedforward_dim: Width = 256,
        dropout: Dropout = 0.0,
        pre_norm: bool = True,
        position_kernel: CountOrNone = 0,
        position_groups: Width = 16,
        n_clusters: Width = 50,
        code_dim: Width = 32,
        mask_probability: PositiveShare = 0.8,
        mask_length: Count = 10,
        learning_rate: Rate = 3e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
        cluster_seed: Seed = 0,
        targets_from: str | None = None,
        targets_layer: Layer = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.front_end = WaveformFrontEnd(conv_channels, conv_group_norm)
        self._build(frame_dim=conv_channels, n_mels=40)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 20 ms."""
        return self.front_end.frame_lengths(lengths)

    def _frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        return self.front_end(waveforms, lengths)

    def _frames_and_targets(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = self._frames(waveforms, lengths)
        return frames, self._targets(waveforms, lengths, frames.shape[1])


class MelHuBERT(ClusterPrediction):
    """HuBERT on log-mel frames (MelHuBERT, Lin et al. 2022).

    On a CPU it is several times faster than HuBERT on waveforms.

    Args:
        n_mels: mel bands of a frame of 10 ms; two frames are stacked.
        n_layers: transformer blocks (published base: 12).
        dim: width of the hidden states (published base: 768).
        n_heads: attention heads (published base: 12).
        feedforward_dim: inner width of the feed-forward layers (published base: 3072).
        dropout: probability of dropping an activation (published base: 0.1).
        pre_norm: layer norm before each sub-layer; false: after it, as in the published base.
        position_kernel: width of the positional convolution, frames of 20 ms (published base: 128); 0: sinusoidal
            positions, which have no parameters.
        position_groups: groups of the positional convolution (published base: 16).
        n_clusters: number of k-means clusters, the targets (published base: 512).
        code_dim: dimension in which outputs and clusters are compared.
        mask_probability: spans × length / frames; spans overlap (published base: 0.8).
        mask_length: frames of 20 ms per masked span (published base: 10).
        learning_rate: peak learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        warmup_fraction: share of the steps in which the learning rate rises.
        cluster_seed: seed of the k-means.
        targets_from: checkpoint of a HuBERT or MelHuBERT trained on the same members, for a second iteration.
        targets_layer: hidden layer of that model to cluster, instead of MFCC frames (published base: 6 of 12).

    Example:
        >>> model = MelHuBERT(n_layers=2, dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> encoded = model.encode(torch.randn(1, 16_000), torch.tensor([16_000]))  # 1 s
        >>> len(encoded.hidden), encoded.hidden[-1].shape
        (3, torch.Size([1, 49, 16]))
    """

    takes_spec_augment = True

    def __init__(
        self,
        n_mels: Width = 40,
        n_layers: Layers = 2,
        dim: Width = 64,
        n_heads: Width = 4,
        feedforward_dim: Width = 256,
        dropout: Dropout = 0.0,
        pre_norm: bool = True,
        position_kernel: CountOrNone = 0,
        position_groups: Width = 16,
        n_clusters: Width = 50,
        code_dim: Width = 32,
        mask_probability: PositiveShare = 0.8,
        mask_length: Count = 10,
        learning_rate: Rate = 3e-3,
        weight_decay: Weight = 0.01,
        warmup_fraction: Share = 0.1,
        cluster_seed: Seed = 0,
        targets_from: str | None = None,
        targets_layer: Layer = 1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self._build(frame_dim=2 * n_mels, n_mels=n_mels)

    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of 20 ms."""
        return self.log_mel.frame_lengths(lengths) // 2

    def _frames(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        return self._stack(self.log_mel(waveforms), lengths)

    def _frames_and_targets(
        self, waveforms: Tensor, lengths: Tensor, augment: FrameAugmentation | None = None
    ) -> tuple[Tensor, Tensor]:
        log_mel = self.log_mel(waveforms)
        frames = self._stack(log_mel, lengths, augment)
        return frames, self._targets(waveforms, lengths, frames.shape[1], log_mel)

    def _stack(self, log_mel: Tensor, lengths: Tensor, augment: FrameAugmentation | None = None) -> Tensor:
        """Stack pairs of normalised log-mel frames.

        (batch, frames of 10 ms, n_mels) → (batch, frames of 20 ms, 2 n_mels); an odd last frame is dropped.
        """
        frame_lengths = self.log_mel.frame_lengths(lengths)
        frames = normalise(log_mel, frame_lengths)
        if augment is not None:
            frames = augment(frames, frame_lengths)
        return frames[:, : frames.shape[1] // 2 * 2].unflatten(1, (-1, 2)).flatten(2)

    def training_loss(self, batch: Batch) -> Pretext:
        """Compute the training loss of the augmented batch."""
        masks = self.draw_masks(batch.waveforms, batch.lengths)
        frames, targets = self._frames_and_targets(batch.waveforms, batch.lengths, batch.augment)
        return cluster_pretext(self._logits(frames, batch.lengths, masks), targets, masks)
