"""What every speech model here can be asked, and how all of them are trained."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.models.layers.masking import SpanMask, span_masks
from lightning_mia.models.optimizer import linear_schedule
from lightning_mia.models.outputs import PRETEXT_SCORE, Encoded, Pretext
from lightning_mia.utilities.errors import InputError


class SpeechModel(L.LightningModule, ABC):
    """A speech encoder with the task that trains it.

    A family answers four questions: `frame_lengths`, `encode`, `pretext` (in training) and `pretext_score`.
    In evaluation mode, what it answers about an utterance depends neither on the utterance's neighbours in
    the batch nor on padding. Its constructor takes plain numbers and names only, keeps them by
    `save_hyperparameters`, and has `learning_rate`, `weight_decay` and `warmup_fraction` among them.
    """

    family: str  # such as "tera"; a class's, or of the checkpoint that was loaded
    uses_transcripts: ClassVar[bool] = False  # whether transcripts of the training recordings change the result
    is_pretrained: bool = False  # whether its weights, as constructed, are those of a trained model to be judged
    # The law by which training masks, and a probe too; None: the pretext task hides no frames from the encoder.
    mask_span: SpanMask | None = None
    takes_spec_augment: ClassVar[bool] = False  # whether `training_loss` applies `Batch.augment` to its log-mel frames
    noise_dim: int = 0  # uniform numbers that `pretext_score` wants for every frame, such as one for each negative

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, Any] = {}  # what the weights were trained on, JSON-like; travels in the checkpoint
        self._clock = 0.0  # when the speed was logged last
        self.logged_health: dict[str, Tensor] = {}  # loss and health of the present step, where it is logged

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
    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return how well the pretext task is solved on each utterance.

        Args:
            waveforms: as in `encode`.
            lengths: as in `encode`.
            masks: (batch, frames) bool, or several draws (draws, batch, frames), with a masked frame for
                every utterance; nowhere True where `mask_span` is None.
            noise: (batch, frames, noise_dim) float32 in [0, 1), or as many draws of it as of masks; may be None
                where `noise_dim` is 0. Masks and noise are the only randomness, so that two models can be
                asked the same.

        Returns:
            (batch,) or (draws, batch) float64, higher = solved better.
        """

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` can be asked: an encoder that came without its pretraining heads has none."""
        return True

    def training_loss(self, batch: Batch) -> Pretext:
        """Return the training loss of a batch under fresh masks."""
        return self.pretext(batch.waveforms, batch.lengths, self.draw_masks(batch.waveforms, batch.lengths))

    def task_scores(self, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Return how well the training task is solved, by the name of the signal; empty for a bare encoder.

        Args:
            batch: recordings.
            masks: (draws, batch, frames) bool, see `pretext_score`.
            noise: (draws, batch, frames, noise_dim), see `pretext_score`.

        Returns:
            (draws, batch) or (batch,) float64 each.
        """
        if not self.has_pretext:
            return {}
        return {PRETEXT_SCORE: self.pretext_score(batch.waveforms, batch.lengths, masks, noise)}

    def for_corpus(self, texts: Mapping[str, str], durations: Mapping[str, float]) -> "SpeechModel":
        """Return the model for a corpus, where its shape or its task depends on one; most take any corpus.

        Args:
            texts: transcripts of all recordings by id, empty where there is none.
            durations: seconds of all recordings, by id.

        Raises:
            InputError: the model cannot be trained on this corpus.
        """
        return self

    def weights_sha256(self) -> str:
        """Hash of the files whose weights it is constructed with; empty where all its weights are drawn at random."""
        return ""

    def untrained(self) -> "SpeechModel":
        """Return the same model with weights drawn at random, whatever it was constructed with."""
        return type(self)(**self.hparams)

    def as_teacher(self, layer: int) -> "SpeechModel":
        """Return a frozen copy of the encoder up to a hidden layer, without pretext heads.

        Args:
            layer: hidden layer that is read, 1 = output of the first transformer block.

        Raises:
            InputError: the family cannot be a teacher, or has no such layer.
        """
        raise InputError(f"it is a {type(self).__name__}, and only HuBERT and MelHuBERT can be teachers")

    def collapse(self, health: dict[str, float]) -> str:
        """Say what has collapsed, by the figures of a training step without their prefix; empty: nothing has."""
        return ""

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
        if self.mask_span is None:
            return torch.zeros(len(lengths), n_frames, dtype=torch.bool, device=lengths.device)
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

    def exclude_time(self, seconds: float) -> None:
        """Leave time that went into something else than training out of audio-seconds per second."""
        self._clock += seconds

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss on one batch."""
        answer = self._step_loss(batch)
        self._audio_seconds += batch.lengths.sum() / SAMPLE_RATE
        self.log("train/loss", answer.loss, prog_bar=True)
        self.logged_health = {}
        if self._logs_this_step():
            self.logged_health = {"loss": answer.loss.detach(), **answer.health}
            self.log_dict({f"train/{name}": value for name, value in answer.health.items()}, prog_bar=True)
            self._log_speed()
        return answer.loss

    def _step_loss(self, batch: Batch) -> Pretext:
        """Return the loss of a callback that wraps the step, or else the model's own."""
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        wrapper = next((callback for callback in callbacks if isinstance(callback, WrapsTrainingStep)), None)
        return wrapper.wrap_loss(self, batch) if wrapper else self.training_loss(batch)

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

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters for the optimizer, where some learn more slowly (`lr`) than others or not at all."""
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up and a linear decay over the whole run."""
        optimizer = torch.optim.AdamW(
            self.parameter_groups(),
            lr=self.hparams["learning_rate"],
            betas=(0.9, 0.98),
            eps=1e-6,
            weight_decay=self.hparams["weight_decay"],
            foreach=True,  # on a CPU too: a small model's many small tensors cost more in calls than in sums
        )
        total_steps = self.trainer.estimated_stepping_batches
        schedule = linear_schedule(optimizer, total_steps, self.hparams["warmup_fraction"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@runtime_checkable
class WrapsTrainingStep(Protocol):
    """A callback that computes the training loss in place of `SpeechModel.training_loss`, such as DP-SGD."""

    def wrap_loss(self, model: SpeechModel, batch: Batch) -> Pretext:
        """Return the loss of one batch."""
        ...
