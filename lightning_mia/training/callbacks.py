"""Callbacks of every training: randomness, exposure, health, checkpoints, snapshots."""

import copy
import logging
import math
from collections import Counter
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import replace_durably

log = logging.getLogger(__name__)

N_SAVES = 20  # checkpoints of a whole training: an interruption costs a twentieth of it, or one epoch

Snapshot = dict[str, Any]  # plain values and tensors, so that a checkpoint can hold it


class KeyedRandomness(Callback):
    """Seeds every training step by its position.

    A resumed training is then exact: dropout and masks depend on (seed, epoch, batch, process), and not on earlier
    random numbers.

    Args:
        seed: seed of the training.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Seed torch's global generators; for CPU models, only the CPU's."""
        position = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank]
        seed = int(np.random.SeedSequence(position).generate_state(1, np.uint64)[0])
        if pl_module.device.type == "cpu":  # before CUDA starts, torch.manual_seed records the stack, which takes 1 ms
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)


class Exposure(Callback):
    """Counts how often each utterance was trained on.

    A batch counts once the optimizer has stepped: accumulated gradients may be dropped at the end of a training.

    Attributes:
        times: utterance id → count, of this process; `gather` sums over processes.
    """

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self.pending: list[str] = []  # since the last step
        self.step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Continue at the step of an interrupted training."""
        self.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the utterances of a batch."""
        self.pending += batch.ids
        if trainer.global_step > self.step:
            self.times.update(self.pending)
            self.pending, self.step = [], trainer.global_step

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the counts summed over all processes."""
        checkpoint["exposure"] = dict(self.gather(trainer))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue counting; the first process takes over the sum."""
        self.times = Counter(checkpoint["exposure"] if trainer.is_global_zero else {})

    def gather(self, trainer: L.Trainer) -> Counter[str]:
        """Sum the counts over all processes."""
        if trainer.world_size == 1:
            return self.times
        counts: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(counts, dict(self.times))
        return sum((Counter(count) for count in counts), Counter())


class Health(Callback):
    """Records first and last health metrics and any collapse.

    Attributes:
        first: metric → value, at the first logged step.
        last: metric → value, at the last logged step.
        collapse: description of a collapse at the last logged step; empty: none.
    """

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.collapse = ""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Read the metrics computed in this step, if any."""
        assert isinstance(pl_module, SpeechModel)
        if pl_module.logged_health:
            self.last = {name: float(value) for name, value in pl_module.logged_health.items()}
            self.first = self.first or self.last
            self.collapse = pl_module.collapse(self.last)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Warn if the model ends collapsed."""
        if self.collapse:
            log.warning("%s", self.collapse)

    def finite(self) -> dict[str, list[float]]:
        """Return the first and last value of each metric, where both are finite."""
        pairs = {name: [self.first[name], value] for name, value in self.last.items()}
        return {name: pair for name, pair in pairs.items() if all(map(math.isfinite, pair))}

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed training restores."""
        return {"first": self.first, "last": self.last, "collapse": self.collapse}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of an interrupted training."""
        self.first, self.last, self.collapse = state_dict["first"], state_dict["last"], state_dict["collapse"]


class DivergedError(InputError):
    """Loss or weights are not finite, and would not be if the training were resumed."""


class StopIfDiverged(Callback):
    """Ends a training at the first loss that is not finite.

    One process on a CPU checks every step. Elsewhere, where a look at the loss waits for all processes and the GPU,
    the steps since the last look are checked together, when metrics are logged and at the end of an epoch.

    Raises:
        DivergedError: a loss or, at the end of an epoch, a weight is not finite.
    """

    def __init__(self) -> None:
        self.finite: torch.Tensor | None = None  # whether all losses since the last look are finite

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Look at the loss of a batch."""
        finite = torch.isfinite(outputs["loss"].detach())
        self.finite = finite if self.finite is None else self.finite & finite
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (finite.device.type == "cpu" and trainer.world_size == 1) or (every and trainer.global_step % every == 0):
            self._check(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the remaining losses and at the weights, before a checkpoint is saved."""
        weights = torch.stack([torch.isfinite(weight).all() for weight in pl_module.parameters()]).all()
        self.finite = weights if self.finite is None else self.finite & weights
        self._check(trainer)

    def _check(self, trainer: L.Trainer) -> None:
        if self.finite is None:
            return
        finite = trainer.strategy.reduce_boolean_decision(bool(self.finite), all=True)
        self.finite = None
        if not finite:
            raise DivergedError(
                f"The training diverged: loss or weights are not finite at step {trainer.global_step}, epoch "
                f"{trainer.current_epoch + 1}; lower model.learning_rate or set trainer.gradient_clip_val"
            )


class LastCheckpoint(Callback):
    """Keeps one checkpoint to resume from.

    It is saved at the end of some epochs: only there does a checkpoint determine the order of the remaining batches.

    Args:
        path: file of the checkpoint, replaced atomically.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save about `N_SAVES` times over a training."""
        every = max(1, (trainer.max_epochs or 0) // N_SAVES)
        if (trainer.current_epoch + 1) % every == 0:
            save_checkpoint(trainer, self.path)


class StreamedCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint straight to its file.

    Lightning writes it to memory first, and copies it there: with the optimizer's state, six times the weights.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint; a partial file is left if that fails."""
        with open(path, "wb") as file:
            torch.save(checkpoint, file)


def save_checkpoint(trainer: L.Trainer, path: Path, weights_only: bool = False) -> None:
    """Save a checkpoint atomically; every process has to call this."""
    part, strategy = path.with_suffix(".part"), trainer.strategy
    if isinstance(strategy, SingleDeviceStrategy | DDPStrategy) and type(strategy.checkpoint_io) is TorchCheckpointIO:
        strategy.checkpoint_io = StreamedCheckpoints()
    try:
        trainer.save_checkpoint(part, weights_only=weights_only)
        if trainer.is_global_zero:
            replace_durably(part, path)
    finally:
        if trainer.is_global_zero:
            part.unlink(missing_ok=True)


def take_snapshot(trainer: L.Trainer, model: L.LightningModule, epochs: int) -> Snapshot:
    """Copy weights, progress, exposure and health metrics.

    Every process has to call this, before the first epoch or at the end of one.

    Args:
        trainer: Trainer of the model.
        model: the model in training.
        epochs: completed epochs, including the current one at its end.
    """
    snapshot: Snapshot = {
        "epochs": epochs,
        "weights": {name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
        "loop": copy.deepcopy(trainer.fit_loop.state_dict()),
    }
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Exposure):
            callback.on_save_checkpoint(trainer, model, snapshot)
        if isinstance(callback, Health):
            snapshot["health"] = copy.deepcopy(callback.state_dict())
    return snapshot


def restore_snapshot(trainer: L.Trainer, model: L.LightningModule, snapshot: Snapshot) -> None:
    """Reset an ended training to the state of a snapshot."""
    model.load_state_dict(snapshot["weights"])
    trainer.fit_loop.load_state_dict(copy.deepcopy(snapshot["loop"]))
    trainer.fit_loop.epoch_progress.current.completed = snapshot["epochs"]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Exposure):
            callback.on_load_checkpoint(trainer, model, snapshot)
        if isinstance(callback, Health):
            callback.load_state_dict(snapshot["health"])
