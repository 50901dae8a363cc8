"""A training as it was at the end of an epoch, to go back to."""

import copy
from typing import Any

import lightning as L

from lightning_mia.training.callbacks import Exposure, Health

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
