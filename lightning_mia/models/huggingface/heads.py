"""HuBERT's task for an encoder of another kind: guess the clusters of hidden MFCC frames (Hsu et al. 2021)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_mia.models.hubert import TEMPERATURE, masked_cross_entropy
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.layers.features import HOP, SAMPLE_RATE, LogMel
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Pretext

Targets = TypeVar("Targets")


class PretextHead(nn.Module, ABC, Generic[Targets]):
    """A pretext task: what is to be found out about masked frames from the encoder's last hidden states.

    Attributes:
        noise_dim: uniform numbers that `score` wants for every frame.
    """

    noise_dim: int = 0

    @property
    def needs_targets(self) -> bool:
        """Whether `fit_targets` is still to be called; as long as it is, there is no score."""
        return False

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit what the task asks for, where that is learned; see `SpeechModel.fit_targets`."""

    @abstractmethod
    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Targets:
        """What is to be found out about the first `n_frames` frames.

        Args:
            encoder: the encoder below.
            frames: what it sees of the waveforms before any mask, by its own `frames`.
            waveforms: (batch, samples) float32, zero-padded on the right.
            lengths: (batch,) int64, real samples.
            n_frames: frames that are asked about.
        """

    @abstractmethod
    def pretext(self, hidden: Tensor, targets: Targets, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Loss and health of a training step.

        Args:
            hidden: (batch, frames, dim), the encoder's last hidden states under the masks.
            targets: as `targets` gives them.
            masks: (batch, frames) bool.
            frame_lengths: (batch,) int64, real frames.
        """

    @abstractmethod
    def score(
        self, hidden: Tensor, targets: Targets, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Log-odds (batch,) float64 of finding it out: as `pretext`, with noise (batch, frames, noise_dim)."""

    @abstractmethod
    def collapse(self, health: dict[str, float]) -> str:
        """Say by the health figures of a training step what has collapsed; empty: nothing has."""


N_MELS = 40  # of the log-mel frames behind the MFCC, as in `HuBERT`
TARGET_HOP = 2 * HOP  # samples between MFCC frames, 20 ms


class ClusterHead(PretextHead[Tensor]):
    """Cosines of the projected hidden states with a code of each cluster, drawn fresh.

    A frame's target is the cluster of the MFCC frame that begins where it does. An encoder may give a frame or two
    more at the end than MFCC has, as Whisper does: the last target then counts for these too.

    Args:
        encoder: the encoder below.
        n_clusters: clusters of training frames to guess.
        code_dim: width in which outputs and clusters are compared.
        seed: of the k-means that makes the clusters.
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
        """Whether the clusters are still to be fitted."""
        return not bool(self.clusters.fitted)

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the clusters on the training recordings alone: the targets are a part of the leak."""
        log_mel = ((self.log_mel(batch), self.log_mel.frame_lengths(lengths)) for batch, lengths in waveforms)
        self.clusters.fit(log_mel, self.seed)

    def targets(
        self, encoder: HuggingFaceEncoder, frames: Tensor, waveforms: Tensor, lengths: Tensor, n_frames: int
    ) -> Tensor:
        """The true cluster of every frame (batch, n_frames) int64; see `PretextHead.targets`."""
        mel_lengths = self.log_mel.frame_lengths(lengths)
        labels = self.clusters(self.log_mel(waveforms), mel_lengths)  # (batch, MFCC frames)
        time = torch.arange(n_frames, device=labels.device) * self.stride
        last = (mel_lengths + 1) // 2 - 1
        return labels.gather(1, time.round().long().minimum(last.unsqueeze(1)))

    def logits(self, hidden: Tensor) -> Tensor:
        """(batch, frames, dim) → (batch, frames, clusters) float32: cosines with the codes over the temperature."""
        outputs = F.normalize(self.code_projection(hidden).float(), dim=-1)
        with torch.autocast(hidden.device.type, enabled=False):
            return outputs @ F.normalize(self.codes.float(), dim=-1).T / TEMPERATURE

    def pretext(self, hidden: Tensor, targets: Tensor, masks: Tensor, frame_lengths: Tensor) -> Pretext:
        """Cross-entropy of the true clusters, mean over the batch's masked frames."""
        logits = self.logits(hidden)
        loss = masked_cross_entropy(logits, targets, masks)
        with torch.no_grad():
            share = masks / masks.sum()  # (batch, frames) of each masked frame in a mean
            accuracy = ((logits.argmax(dim=2) == targets) * share).sum()
            usage = (logits.softmax(dim=2) * share.unsqueeze(2)).sum(dim=(0, 1))  # (clusters,)
            perplexity = torch.special.entr(usage).sum().exp()
        return Pretext(loss, {"masked_accuracy": accuracy, "code_perplexity": perplexity})

    def score(
        self, hidden: Tensor, targets: Tensor, masks: Tensor, frame_lengths: Tensor, noise: Tensor | None
    ) -> Tensor:
        """Log-odds of the geometric mean probability of the true cluster over the masked frames."""
        return log_odds_of_mean(self.logits(hidden), targets, masks)

    def collapse(self, health: dict[str, float]) -> str:
        """One cluster is guessed for almost every masked frame."""
        perplexity = health["code_perplexity"]
        if perplexity >= 1.5:
            return ""
        return f"one cluster is guessed for almost all frames (code perplexity {perplexity:.2f})"


def samples_per_frame(encoder: HuggingFaceEncoder) -> float:
    """Samples from one frame of an encoder to the next, found by trying lengths from one second on."""
    lengths = torch.arange(SAMPLE_RATE, 3 * SAMPLE_RATE)
    frames = encoder.frame_lengths(lengths)
    jumps = frames.diff().nonzero().flatten()  # one sample before there are more frames, by one or by several
    return float((jumps[1] - jumps[0]) / (frames[jumps[1] + 1] - frames[jumps[1]]))
