"""What a surrogate head is to guess of a hidden frame: taken from the waveform, without any model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import HOP, LogMel, normalise
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.signals.surrogate.linear_heads import discriminant, ridge
from lightning_mia.utilities.errors import InputError

MFCC_HOP = 2 * HOP  # samples, 20 ms
N_MELS_OF_MFCC = 40


@dataclass(frozen=True)
class HiddenTarget(ABC):
    """Something about every frame that can be computed from the plain waveform. A subclass is a frozen dataclass."""

    name: ClassVar[str]

    def fingerprint(self) -> dict[str, Any]:
        """The settings that change the signals."""
        return {"target": self.name, **asdict(self)}

    def fitted(self, auxiliary: Iterable[Batch]) -> HiddenTarget:
        """The target with what it learns from the adversary's own recordings, such as clusters."""
        return self

    @abstractmethod
    def of_frames(self, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
        """What a head is fitted to.

        Args:
            waveforms: (batch, samples) float32.
            lengths: (batch,) real samples.
            frames: of the encoder, of the longest recording.
            stride: samples from one frame of the encoder to the next.

        Returns:
            (batch, frames, numbers) float32, anything on padding.
        """

    @abstractmethod
    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Weights of the head, from sums over frames; see `lightning_mia.signals.surrogate.linear_heads.ridge`."""

    @abstractmethod
    def errors(self, guesses: Tensor, truth: Tensor) -> Tensor:
        """How wrong a linear head is, (…, numbers) each → (…) float64."""

    @abstractmethod
    def score(self, error: Tensor) -> Tensor:
        """Mean error of an utterance → its signal, higher = guessed better."""


@dataclass(frozen=True)
class LogMelFrames(HiddenTarget):
    """Log-mel frames, normalised over the utterance; the error is the mean absolute one, the signal its −log.

    An encoder whose frames are 20 ms apart is asked for two frames of 10 ms.

    Args:
        n_mels: mel bands.
        ridge: strength of the ridge, as a fraction of an input's variance.
    """

    name = "log_mel"

    n_mels: int = 80
    ridge: float = 1e-2

    def __post_init__(self) -> None:
        """Refuse a ridge that is none."""
        _check("ridge", self.ridge)

    def of_frames(self, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
        """(batch, frames, n_mels × frames of 10 ms in a stride)."""
        log_mel = LogMel(self.n_mels).to(waveforms.device)
        n_frames = log_mel.frame_lengths(lengths)
        normalised = normalise(log_mel(waveforms), n_frames)
        together = max(1, round(stride / HOP))
        return torch.cat([_taken(normalised, n_frames, frames, stride, HOP, later) for later in range(together)], dim=2)

    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Ridge regression."""
        return ridge(squares, products, self.ridge)

    def errors(self, guesses: Tensor, truth: Tensor) -> Tensor:
        """Mean absolute error over bands."""
        return (guesses - truth).abs().mean(dim=-1, dtype=torch.float64)

    def score(self, error: Tensor) -> Tensor:
        """−log of the error."""
        return -error.log()


@dataclass(frozen=True)
class AdversarysClusters(HiddenTarget):
    """Clusters of MFCC frames (k-means on auxiliary recordings, as HuBERT's on its members); the signal is log-odds.

    Args:
        n_clusters: most clusters; an eighth of the auxiliary frames, if that is less.
        shrinkage: what is added to an input's variance within clusters, as a fraction of it. Few frames a cluster
            leave much to chance that differs from model to model: a strong one is far better.
        seed: of the k-means.
    """

    name = "clusters"

    n_clusters: int = 50
    shrinkage: float = 3.0  # no name of `LogMelFrames`: a config that changes the class would keep that one's value
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a shrinkage that is none."""
        _check("shrinkage", self.shrinkage)

    def fitted(self, auxiliary: Iterable[Batch]) -> AdversarysClusters:
        """Fit the k-means, on the CPU, recording by recording in the order of ids: batches change nothing."""
        waveforms = {
            name: waveform[:length].cpu()
            for batch in auxiliary
            for name, waveform, length in zip(batch.ids, batch.waveforms, batch.lengths.tolist(), strict=True)
        }
        log_mel = LogMel(N_MELS_OF_MFCC)
        heard = [
            (log_mel(one.unsqueeze(0)), log_mel.frame_lengths(torch.tensor([len(one)])))
            for _, one in sorted(waveforms.items())
        ]
        n_frames = sum(int(((lengths + 1) // 2).sum()) for _, lengths in heard)
        kmeans = MFCCClusters(N_MELS_OF_MFCC, max(2, min(self.n_clusters, n_frames // 8)))
        kmeans.fit(heard, self.seed)
        return FittedClusters(**asdict(self), kmeans=kmeans)

    def of_frames(self, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
        """Clusters come first."""
        raise RuntimeError("There are no clusters yet: call fitted()")

    def fit(self, squares: Tensor, products: Tensor) -> Tensor:
        """Linear discriminant analysis."""
        return discriminant(squares, products, self.shrinkage)

    def errors(self, guesses: Tensor, truth: Tensor) -> Tensor:
        """−log of the probability of the true cluster."""
        return -(guesses.double().log_softmax(dim=-1) * truth).sum(dim=-1)

    def score(self, error: Tensor) -> Tensor:
        """Log-odds of the geometric mean probability."""
        return -error - torch.log(-torch.expm1(-error.clamp(min=1e-12)))


@dataclass(frozen=True)
class FittedClusters(AdversarysClusters):
    """Clusters that are there.

    Args:
        n_clusters: as in `AdversarysClusters`.
        shrinkage: as in `AdversarysClusters`.
        seed: as in `AdversarysClusters`.
        kmeans: the clusters.
    """

    kmeans: MFCCClusters = field(kw_only=True)

    def of_frames(self, waveforms: Tensor, lengths: Tensor, frames: int, stride: int) -> Tensor:
        """One-hot (batch, frames, clusters)."""
        log_mel, kmeans = LogMel(N_MELS_OF_MFCC).to(waveforms.device), self.kmeans.to(waveforms.device)
        n_frames = log_mel.frame_lengths(lengths)
        found = F.one_hot(kmeans(log_mel(waveforms), n_frames), len(kmeans.centroids)).float()
        return _taken(found, (n_frames + 1) // 2, frames, stride, MFCC_HOP)


def _check(name: str, value: float) -> None:
    if value < 0:
        raise InputError(f"{name} of a surrogate head is {value}: give 0 or more")


def _taken(found: Tensor, lengths: Tensor, frames: int, stride: int, hop: int, later: int = 0) -> Tensor:
    """For every frame of the encoder the one of `found` (batch, frames, numbers) that begins with it, or `later`.

    Past an utterance's end its last frame, of `lengths` (batch,), goes on.
    """
    places = torch.arange(frames, device=found.device) * stride // hop + later
    places = places.minimum(lengths.unsqueeze(1) - 1)  # (batch, frames)
    return found.gather(1, places.unsqueeze(2).expand(-1, -1, found.shape[2]))
