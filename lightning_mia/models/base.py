"""What every speech model here can be asked, and how all of them are trained."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import lightning as L
import torch
from torch import Tensor

from lightning_mia.data.batch import Batch
from lightning_mia.models.features import SAMPLE_RATE
from lightning_mia.models.masking import SpanMask, span_masks
from lightning_mia.models.schedule import linear_schedule


@dataclass(frozen=True)
class Encoded:
    """What an encoder says of a batch."""

    hidden: tuple[Tensor, ...]  # per layer (batch, frames, dim); layer 0 is the input to the transformer
    lengths: Tensor  # (batch,) int64, real frames; frames beyond them mean nothing


@dataclass(frozen=True)
class Pretext:
    """How well a batch's pretext task was solved in training."""

    loss: Tensor  # () float32, to be minimised
    health: dict[str, Tensor]  # figures to log, () each


class SpeechModel(L.LightningModule, ABC):
    """A speech encoder with the pretext task that trains it.

    A family answers four questions: `frame_lengths`, `encode`, `pretext` (in training) and `pretext_score`.
    In evaluation mode, what it answers about an utterance depends neither on the utterance's neighbours in
    the batch nor on padding. Its constructor takes plain numbers only, keeps them by `save_hyperparameters`,
    and has `learning_rate`, `weight_decay` and `warmup_fraction` among them.
    """

    family: ClassVar[str]
    mask_span: SpanMask  # the law by which training masks; a probe draws its masks by the same law

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, Any] = {}  # what the weights were trained on, JSON-like; travels in the checkpoint

    @abstractmethod
    def frame_lengths(self, lengths: Tensor) -> Tensor:
        """Samples → frames of the encoder, integers of any shape."""

    @abstractmethod
    def encode(self, waveforms: Tensor, lengths: Tensor, masks: Tensor | None = None) -> Encoded:
        """Encode a batch.

        Args:
            waveforms: (batch, samples) float32 in [-1, 1), 16 kHz, zero-padded on the right.
            lengths: (batch,) int64, real samples, at least 1,600 (0.1 s).
            masks: (batch, frames) bool, frames to hide from the encoder as in training; None hides nothing.
        """

    @abstractmethod
    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Return the training loss for frames hidden by `masks` (batch, frames) bool; see `encode`."""

    @abstractmethod
    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Tensor:
        """Return how well the masked frames of each utterance are guessed.

        Args:
            waveforms: as in `encode`.
            lengths: as in `encode`.
            masks: (batch, frames) bool, or several draws (draws, batch, frames), with a masked frame for
                every utterance. They are the only randomness, so that two models can be asked the same.

        Returns:
            (batch,) or (draws, batch) float64, higher = guessed better.
        """

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit what the pretext task predicts, where that is learned from the training recordings.

        Args:
            waveforms: batches `(waveforms, lengths)` as in `encode`, each training recording once.
        """

    @property
    def needs_targets(self) -> bool:
        """Whether `fit_targets` is still to be called."""
        return False

    def draw_masks(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Draw masks (batch, frames) bool by `mask_span`, from torch's global generator; see `encode`."""
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        noise = torch.rand(len(lengths), n_frames + 1, device=lengths.device)
        return span_masks(self.frame_lengths(lengths), self.mask_span, noise)

    def on_fit_start(self) -> None:
        """Fit the targets on the training recordings: the first process does, the others receive them."""
        if not self.needs_targets:
            return
        if self.trainer.is_global_zero:
            recordings = self.trainer.datamodule.training_waveforms()  # type: ignore[attr-defined]
            self.fit_targets((batch.waveforms, batch.lengths) for batch in recordings)
        for buffer in self.buffers():
            buffer.copy_(self.trainer.strategy.broadcast(buffer.cpu()))

    def on_train_start(self) -> None:
        """Start the clock of audio-seconds per second."""
        self._clock = time.perf_counter()
        self._audio_seconds = torch.zeros((), device=self.device)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss on one batch under fresh masks."""
        answer = self.pretext(batch.waveforms, batch.lengths, self.draw_masks(batch.waveforms, batch.lengths))
        self._audio_seconds += batch.lengths.sum() / SAMPLE_RATE
        self.log("train/loss", answer.loss, prog_bar=True)
        if self._logs_this_step():
            self.log_dict({f"train/{name}": value for name, value in answer.health.items()}, prog_bar=True)
            self._log_speed()
        return answer.loss

    def _logs_this_step(self) -> bool:
        """Whether Lightning hands this step's figures to the loggers; other steps need not compute them."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (self.global_step + 1) % every == 0

    def _log_speed(self) -> None:
        now = time.perf_counter()
        speed = self._audio_seconds * self.trainer.world_size / (now - self._clock)
        self.log("train/audio_seconds_per_second", speed, prog_bar=True)
        self._clock = now
        self._audio_seconds = torch.zeros_like(self._audio_seconds)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the norm of the gradient before it is clipped, and the learning rate."""
        if self._logs_this_step():
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            self.log("train/grad_norm", torch.nn.utils.get_total_norm(gradients), prog_bar=True)
            self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Label the checkpoint with the model's class and origin."""
        checkpoint["lightning_mia"] = {"model_class": type(self).__name__, **self.origin}

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up and a linear decay over the whole run."""
        optimizer = torch.optim.AdamW(
            self.parameters(),
            lr=self.hparams["learning_rate"],
            betas=(0.9, 0.98),
            eps=1e-6,
            weight_decay=self.hparams["weight_decay"],
            foreach=True,  # on a CPU too: a small model's many small tensors cost more in calls than in sums
        )
        total_steps = self.trainer.estimated_stepping_batches
        schedule = linear_schedule(optimizer, total_steps, self.hparams["warmup_fraction"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
