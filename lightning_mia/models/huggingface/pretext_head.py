"""What stands on top of an encoder of transformers, so that it can be pretrained further and asked how well."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

from torch import Tensor, nn

from lightning_mia.models.base import Pretext
from lightning_mia.models.huggingface.encoder import HuggingFaceEncoder

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
