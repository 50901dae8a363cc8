"""Heads on Hugging Face encoders: pretext tasks, transcripts."""

from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.huggingface.checkpoint_folder import Checkpoint, weight_files
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder
from lightning_mia.models.huggingface.hub import find_folder
from lightning_mia.models.layers.features import HOP, LogMel
from lightning_mia.models.objectives.cluster_prediction import cluster_collapse, cluster_logits, cluster_pretext
from lightning_mia.models.objectives.kmeans_targets import MFCCClusters
from lightning_mia.models.objectives.log_odds import log_odds_of_mean
from lightning_mia.models.outputs import Pretext
from lightning_mia.models.weights import check_weights
from lightning_mia.utilities.errors import InputError, list_first

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


class TranscriptHead(nn.Module, ABC):
    """Output of a fine-tuned speech recogniser.

    Attributes:
        score_name: name of the signal.
        noise_dim: as in `PretextHead`: it takes none.
        needs_targets: as in `PretextHead`: there are none.
        learned_targets: as in `PretextHead`: there are none.
    """

    score_name: ClassVar[str]
    noise_dim: ClassVar[int] = 0
    needs_targets: ClassVar[bool] = False
    learned_targets: ClassVar[None] = None

    @abstractmethod
    def check(self, encoder: HuggingFaceEncoder, texts: Mapping[str, str], durations: Mapping[str, float]) -> None:
        """Check that the transcripts can be scored; log what the vocabulary lacks.

        Args:
            encoder: encoder below the head.
            texts: transcripts by recording id.
            durations: seconds by recording id.

        Raises:
            InputError: a transcript cannot be scored.
        """

    @abstractmethod
    def loss(self, encoder: HuggingFaceEncoder, batch: Batch) -> Tensor:
        """Compute the loss of every transcript per character or token, (batch,) float64."""

    @abstractmethod
    def scores(self, encoder: HuggingFaceEncoder, batch: Batch) -> dict[str, Tensor]:
        """Score every transcript; see `SpeechModel.task_scores`."""

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse by the health metrics, if any."""
        return ""


def is_recogniser(config: Any) -> bool:
    """Whether a checkpoint is a speech recogniser, by its configuration."""
    return any(name.endswith(("ForCTC", "ForConditionalGeneration")) for name in config.architectures or ())


def load_head(head: nn.Module, checkpoint: Checkpoint, kind: str, prefix: str = "") -> None:
    """Load the weights of a head from a checkpoint.

    Args:
        head: module with the names of the checkpoint.
        checkpoint: configuration and location of the weights.
        kind: beginning of a clause for the message, such as "pretext heads are".
        prefix: beginning of stored names that the head's names lack.

    Raises:
        InputError: weights are missing, or do not fit the configuration.
    """
    expected = head.state_dict()
    stored: dict[str, Tensor] = {}
    for path in weight_files(checkpoint.name, find_folder(checkpoint.name, checkpoint.revision)):
        stored |= _tensors(path, expected.keys(), prefix)
    problems = [f"{name} is missing" for name in expected if name not in stored]
    problems += [
        f"{name} has the shape {tuple(weights.shape)} instead of {tuple(expected[name].shape)}"
        for name, weights in stored.items()
        if weights.shape != expected[name].shape
    ]
    if problems:
        raise InputError(
            f"config.json of {checkpoint.name} names {checkpoint.config.architectures[0]}, but its {kind} "
            f"incomplete: {list_first(problems, 3)}; download it again, or name a bare encoder in `architectures`"
        )
    check_weights(stored, head, checkpoint.name)
    head.load_state_dict(stored)


def _tensors(path: Path, names: Container[str], prefix: str) -> dict[str, Tensor]:
    """Read the named tensors of a weight file."""
    if path.suffix != ".safetensors":
        weights = torch.load(path, map_location="cpu", weights_only=True)
        return {name.removeprefix(prefix): weights[name] for name in weights if name.removeprefix(prefix) in names}
    from safetensors import safe_open

    with safe_open(path, framework="pt") as weights:
        found = [name for name in weights.keys() if name.removeprefix(prefix) in names]  # noqa: SIM118
        return {name.removeprefix(prefix): weights.get_tensor(name) for name in found}


def samples_per_frame(encoder: HuggingFaceEncoder) -> float:
    """Measure an encoder's hop (samples) from its frame counts."""
    lengths = torch.arange(SAMPLE_RATE, 3 * SAMPLE_RATE)
    frames = encoder.frame_lengths(lengths)
    jumps = frames.diff().nonzero().flatten()  # one sample before the number of frames grows
    return float((jumps[1] - jumps[0]) / (frames[jumps[1] + 1] - frames[jumps[1]]))
