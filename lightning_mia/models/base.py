"""Interface and training loop of all speech models."""

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor, nn

from lightning_mia.corpora.audio import SAMPLE_RATE
from lightning_mia.corpora.loading.batch import Batch, as_batch
from lightning_mia.models.layers.masking import SpanMask, draw_span_masks
from lightning_mia.models.optimizer import linear_schedule
from lightning_mia.models.outputs import PRETEXT_SCORE, Encoded, Pretext
from lightning_mia.models.sharing import ShareableModel
from lightning_mia.models.weights import CONTENT_SHA256, hash_content
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import check_ranges

LARGE = 30_000_000
"""Parameters of a model whose further training is made cheaper."""


class SpeechModel(L.LightningModule, ShareableModel, ABC):
    """Speech encoder with the pretext task that trains it.

    A family implements `frame_lengths`, `encode`, `pretext` (the training loss) and `pretext_score`. In evaluation
    mode, the outputs for a recording depend neither on the rest of the batch nor on padding. Constructor arguments are
    plain numbers and strings, stored by `save_hyperparameters`; among them are `learning_rate`, `weight_decay` and
    `warmup_fraction`.

    A model is a plain LightningModule: it trains under any `lightning.Trainer`, on the batches of any data loader that
    `as_batch` takes, such as waveforms (batch, samples). `save_pretrained`, `from_pretrained` and `push_to_hub` are
    those of `ShareableModel`.

    Example:
        >>> from lightning_mia.models import TERA
        >>> model: SpeechModel = TERA(dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> waveforms, lengths = torch.randn(2, 16_000), torch.tensor([16_000, 8_000])
        >>> masks = model.draw_masks(waveforms, lengths)  # (batch, frames)
        >>> model.pretext_score(waveforms, lengths, masks).shape
        torch.Size([2])
    """

    family: str  # such as "tera"; set by the class, or by the loaded checkpoint
    uses_transcripts: ClassVar[bool] = False  # whether transcripts of the training recordings change the result
    task_score: str = PRETEXT_SCORE  # name of the training task's score, see `task_scores`
    is_pretrained: bool = False  # whether the constructor loads trained weights, which an audit evaluates as they are
    # Distribution of the masks, in training and in the probe; None: the pretext task masks no frames.
    mask_span: SpanMask | None = None
    takes_spec_augment: ClassVar[bool] = False  # whether `training_loss` applies `Batch.augment` to log-mel frames
    noise_dim: int = 0  # uniform numbers per frame that `pretext_score` takes, such as one per negative
    # Costs relative to `encode`, for the remaining time in progress bars.
    step_passes: ClassVar[float] = 3.0  # a training step: forward, and backward at the cost of two
    masked_pass: ClassVar[float] = 1.0  # one mask of `encode_under`

    def __init__(self) -> None:
        super().__init__()
        self.origin: dict[str, Any] = {}  # what the weights were trained on, JSON-like; saved in the checkpoint
        self._clock = 0.0  # when the speed was last logged
        self.logged_health: dict[str, Tensor] = {}  # loss and health metrics of the current step, if logged

    def save_hyperparameters(self, *args: Any, **kwargs: Any) -> None:
        """Store the constructor arguments, and check the ranges of their types.

        Raises:
            InputError: a number is out of range.
        """
        frame = inspect.currentframe()
        super().save_hyperparameters(*args, **{"frame": frame.f_back if frame else None, **kwargs})
        check_ranges(type(self).__init__, self.hparams, "model.")

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

    def encode_under(self, waveforms: Tensor, lengths: Tensor, masks: Iterable[Tensor]) -> Iterator[Encoded]:
        """Encode a batch under one mask after the other.

        A family computes only once what no mask changes, such as convolutions below the masks.

        Args:
            waveforms: as in `encode`.
            lengths: as in `encode`.
            masks: (batch, frames) bool each.
        """
        return (self.encode(waveforms, lengths, mask) for mask in masks)

    @abstractmethod
    def pretext(self, waveforms: Tensor, lengths: Tensor, masks: Tensor) -> Pretext:
        """Compute the training loss under masks.

        `masks` are (batch, frames) bool; see `encode` for the other arguments.
        """

    @abstractmethod
    def pretext_score(self, waveforms: Tensor, lengths: Tensor, masks: Tensor, noise: Tensor | None = None) -> Tensor:
        """Score the pretext task on each recording.

        Args:
            waveforms: as in `encode`.
            lengths: as in `encode`.
            masks: (batch, frames) bool, or several draws (draws, batch, frames), with at least one masked frame per
                recording; all False if `mask_span` is None.
            noise: (batch, frames, noise_dim) float32 in [0, 1), with a leading dimension of draws if the masks have
                one; may be None if `noise_dim` is 0. Masks and noise are the only randomness, so that two models can be
                scored on the same draws.

        Returns:
            (batch,) or (draws, batch) float64, higher = solved better.
        """

    @property
    def can_pretrain(self) -> bool:
        """Whether the pretext task can be trained on."""
        return True

    @property
    def has_pretext(self) -> bool:
        """Whether `pretext_score` is available.

        False for an encoder without pretext heads.
        """
        return True

    def forward(self, waveforms: Any, lengths: Tensor | None = None) -> Encoded:
        """Encode a batch; see `encode`.

        Args:
            waveforms: (batch, samples) float32, 16 kHz; or another batch that `as_batch` takes.
            lengths: (batch,) int64, real samples; None: all.
        """
        batch = as_batch(waveforms if lengths is None else (waveforms, lengths))
        return self.encode(batch.waveforms, batch.lengths)

    def training_loss(self, batch: Batch) -> Pretext:
        """Compute the training loss of a batch under fresh masks."""
        return self.pretext(batch.waveforms, batch.lengths, self.draw_masks(batch.waveforms, batch.lengths))

    def task_scores(self, batch: Batch, masks: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Score the training task; keys are signal names.

        A bare encoder returns an empty dictionary.

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
        """Adapt the model to a corpus.

        Most families do not depend on the corpus and return themselves.

        Args:
            texts: transcripts by recording id, empty strings if missing.
            durations: seconds by recording id.

        Raises:
            InputError: the model cannot be trained on this corpus.
        """
        return self

    def weights_sha256(self) -> str:
        """Hash the files of the initial weights.

        Returns an empty string if all weights are random.
        """
        return ""

    def untrained(self) -> "SpeechModel":
        """Return the same model with random weights."""
        return type(self)(**self.hparams)

    def settings_further(self, learning_rate: float) -> dict[str, Any]:
        """Return the constructor arguments that further training changes.

        Args:
            learning_rate: peak learning rate.
        """
        return {"learning_rate": learning_rate, "warmup_fraction": 0.1}

    @property
    def is_large(self) -> bool:
        """Whether it has as many parameters as `LARGE`."""
        return sum(parameter.numel() for parameter in self.parameters()) >= LARGE

    def set_up_further(self, learning_rate: float) -> None:
        """Change the settings to those of further training.

        Args:
            learning_rate: peak learning rate.
        """
        self.hparams.update(self.settings_further(learning_rate))

    def freeze_encoder(self) -> None:
        """Freeze all parameters but those of the pretext head.

        Raises:
            InputError: the family has no head that is fitted after the encoder.
        """
        raise InputError(f"{type(self).__name__} has no pretext head that can be fitted on a frozen encoder")

    def as_teacher(self, layer: int) -> "SpeechModel":
        """Return a frozen copy, cut above a hidden layer.

        The copy has no pretext heads.

        Args:
            layer: hidden layer that is read, 1 = output of the first transformer block.

        Raises:
            InputError: the family cannot be a teacher, or has no such layer.
        """
        raise InputError(f"it is a {type(self).__name__}, and only HuBERT and MelHuBERT can be teachers")

    def collapse(self, health: dict[str, float]) -> str:
        """Describe a collapse of the training, if any.

        Args:
            health: logged metrics of a training step, without the prefix `train/`.

        Returns:
            A clause for the report; an empty string without a collapse.
        """
        return ""

    def fit_targets(self, waveforms: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the targets on the training recordings.

        Most families have nothing to fit.

        Args:
            waveforms: batches `(waveforms, lengths)` as in `encode`, each training recording once.
        """

    @property
    def needs_targets(self) -> bool:
        """Whether `fit_targets` has yet to be called."""
        return False

    @property
    def learned_targets(self) -> nn.Module | None:
        """Module that holds the targets of `fit_targets`.

        None if the family has nothing to fit.
        """
        return None

    def draw_masks(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Draw training masks, (batch, frames) bool.

        Masks follow `mask_span`, and are drawn from torch's global generator; see `encode` for the arguments.
        """
        n_frames = int(self.frame_lengths(torch.tensor(waveforms.shape[1])))
        if self.mask_span is None:
            return torch.zeros(len(lengths), n_frames, dtype=torch.bool, device=lengths.device)
        noise = torch.rand(len(lengths), n_frames + 1, device=lengths.device)
        return draw_span_masks(self.frame_lengths(lengths), self.mask_span, noise)

    def on_fit_start(self) -> None:
        """Fit the targets and broadcast them to all processes."""
        if not self.needs_targets:
            return
        if self.trainer.is_global_zero:
            self.fit_targets((batch.waveforms, batch.lengths) for batch in self._training_recordings())
        for buffer in self.buffers():
            buffer.copy_(self.trainer.strategy.broadcast(buffer.cpu()))

    def _training_recordings(self) -> Iterator[Batch]:
        """Yield the training recordings, to fit targets on.

        A data module of ours yields each once and unchanged. Of any other data, these are the batches of an epoch, with
        several processes the first one's share.
        """
        trainer: Any = self.trainer
        recordings = getattr(trainer.datamodule, "training_waveforms", None)
        if recordings is not None:
            yield from recordings()
            return
        trainer.fit_loop.setup_data()  # what the Trainer does next; the second call returns at once
        with torch.random.fork_rng(devices=[]):  # the loader's order comes from the global generator
            for data in trainer.train_dataloader:
                yield as_batch(data)

    def on_train_start(self) -> None:
        """Start measuring audio-seconds per second."""
        self._clock = time.perf_counter()
        self._audio_seconds = torch.zeros((), device=self.device)

    def exclude_time(self, seconds: float) -> None:
        """Exclude time not spent on training from audio-seconds per second."""
        self._clock += seconds

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Compute the loss and log it with health metrics.

        Args:
            batch: see `as_batch`.
            batch_idx: its number in the epoch.
        """
        batch = as_batch(batch)
        output = self._step_loss(batch)
        self._audio_seconds += batch.lengths.sum() / SAMPLE_RATE
        self.log("train/loss", output.loss, prog_bar=True, batch_size=len(batch.ids))
        self.logged_health = {}
        if self._logs_this_step():
            self.logged_health = {"loss": output.loss.detach(), **output.health}
            self.log_dict({f"train/{name}": value for name, value in output.health.items()}, prog_bar=True)
            self._log_speed()
        return output.loss

    def _step_loss(self, batch: Batch) -> Pretext:
        """Compute the loss, through a wrapping callback if any."""
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        wrapper = next((callback for callback in callbacks if isinstance(callback, WrapsTrainingStep)), None)
        return wrapper.wrap_loss(self, batch) if wrapper else self.training_loss(batch)

    def _logs_this_step(self) -> bool:
        """Whether Lightning passes this step's metrics to the loggers."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return every > 0 and (self.global_step + 1) % every == 0

    def _log_speed(self) -> None:
        now = time.perf_counter()
        speed = self._audio_seconds * self.trainer.world_size / (now - self._clock)
        self.log("train/audio_seconds_per_second", speed, prog_bar=True)
        self._clock = now
        self._audio_seconds = torch.zeros_like(self._audio_seconds)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log the gradient norm before clipping, and the learning rate."""
        if self._logs_this_step():
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            self.log("train/grad_norm", torch.nn.utils.get_total_norm(gradients), prog_bar=True)
            self.log("train/learning_rate", optimizer.param_groups[0]["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Label the checkpoint with class, origin and content hash.

        Lightning calls this after all other parts of the checkpoint are complete.
        """
        checkpoint["lightning_mia"] = {"model_class": type(self).__name__, **self.origin}
        checkpoint.pop(CONTENT_SHA256, None)
        checkpoint[CONTENT_SHA256] = hash_content(checkpoint)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the trainable parameters for the optimizer.

        If learning rates differ, each group has its own (`lr`).
        """
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def configure_optimizers(self) -> Any:
        """Create AdamW with linear warm-up and decay."""
        optimizer = torch.optim.AdamW(
            self.parameter_groups(),
            lr=self.hparams["learning_rate"],
            betas=(0.9, 0.98),
            eps=1e-6,
            weight_decay=self.hparams["weight_decay"],
            # On a CPU too, for the many small tensors of a small model, calls cost more than arithmetic; the temporary
            # tensors of a large one take as much memory as its weights.
            foreach=not self.is_large or self.device.type != "cpu",
        )
        total_steps = self.trainer.estimated_stepping_batches
        schedule = linear_schedule(optimizer, total_steps, self.hparams["warmup_fraction"])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@runtime_checkable
class WrapsTrainingStep(Protocol):
    """Callback that replaces `SpeechModel.training_loss`, such as DP-SGD."""

    def wrap_loss(self, model: SpeechModel, batch: Batch) -> Pretext:
        """Compute the loss of one batch."""
        ...
