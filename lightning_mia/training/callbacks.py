"""What every training of ours carries along: keyed randomness, a record of exposure, a checkpoint to resume from."""

import copy
import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel

log = logging.getLogger(__name__)

SAVES = 20  # checkpoints of a whole training: an interruption costs at most a twentieth of it


class KeyedRandomness(Callback):
    """Seeds every training step by its place in the training, so that a resumed run equals an undisturbed one.

    Dropout and masks then depend on (seed, epoch, batch, process) and not on what happened before.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Set the global generators of torch; for a model on a CPU that of CPUs."""
        place = [self.seed, trainer.current_epoch, batch_idx, trainer.global_rank]
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
        if pl_module.device.type == "cpu":  # where CUDA is not up, torch.manual_seed writes down the stack, for 1 ms
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)


class Exposure(Callback):
    """Counts how often each utterance was trained on: the member set as it really was.

    Attributes:
        times: utterance id → times, of this process; `gather` joins the processes.
    """

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the utterances of a batch."""
        self.times.update(batch.ids)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the counts over all processes."""
        checkpoint["exposure"] = dict(self.gather(trainer))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on counting; the first process takes over what all have counted."""
        self.times = Counter(checkpoint["exposure"] if trainer.is_global_zero else {})

    def gather(self, trainer: L.Trainer) -> Counter[str]:
        """Counts over all processes."""
        if trainer.world_size == 1:
            return self.times
        counts: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(counts, dict(self.times))
        return sum((Counter(count) for count in counts), Counter())


class Health(Callback):
    """Keeps a training's first and last logged figures, and what has collapsed by the last of them.

    Attributes:
        first: figure → value, at the first step that was logged.
        last: the same at the last one.
        collapse: what the model says of the last figures; empty where nothing has collapsed.
    """

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.collapse = ""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Read the figures where the model has just computed them."""
        assert isinstance(pl_module, SpeechModel)
        if pl_module.logged_health:
            self.last = {name: float(value) for name, value in pl_module.logged_health.items()}
            self.first = self.first or self.last
            self.collapse = pl_module.collapse(self.last)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say it where the model ends collapsed."""
        if self.collapse:
            log.warning("%s", self.collapse)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training goes on with."""
        return {"first": self.first, "last": self.last, "collapse": self.collapse}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the interrupted training stopped."""
        self.first, self.last, self.collapse = state_dict["first"], state_dict["last"], state_dict["collapse"]


class LastCheckpoint(Callback):
    """Keeps one checkpoint to resume from, saved at the end of some epochs, where nothing of the order is lost.

    Args:
        path: of the checkpoint; it is always whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save about `SAVES` times over a training."""
        every = max(1, (trainer.max_epochs or 0) // SAVES)
        if (trainer.current_epoch + 1) % every == 0:
            save_checkpoint(trainer, self.path)


def save_checkpoint(trainer: L.Trainer, path: Path, weights_only: bool = False) -> None:
    """Save a checkpoint, whole or not at all; every process has to call this."""
    part = path.with_suffix(".part")
    try:
        trainer.save_checkpoint(part, weights_only=weights_only)
        if trainer.is_global_zero:
            os.replace(part, path)
    finally:
        if trainer.is_global_zero:
            part.unlink(missing_ok=True)


Snapshot = dict[str, Any]  # plain values and tensors, so that it can travel in a checkpoint


def take_snapshot(trainer: L.Trainer, model: L.LightningModule, epochs: int) -> Snapshot:
    """Copy the weights, the counts of epochs and steps, and what our callbacks have written down.

    Every process has to call this, before the first epoch or at the end of one.

    Args:
        trainer: of the training.
        model: the model in training.
        epochs: that are over, the present one included where this is its end.
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


def go_back(trainer: L.Trainer, model: L.LightningModule, snapshot: Snapshot) -> None:
    """Make an ended training the one that ended when the snapshot was taken."""
    model.load_state_dict(snapshot["weights"])
    trainer.fit_loop.load_state_dict(copy.deepcopy(snapshot["loop"]))
    trainer.fit_loop.epoch_progress.current.completed = snapshot["epochs"]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Exposure):
            callback.on_load_checkpoint(trainer, model, snapshot)
        if isinstance(callback, Health):
            callback.load_state_dict(snapshot["health"])
