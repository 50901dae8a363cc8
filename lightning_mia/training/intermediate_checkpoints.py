"""Intermediate checkpoints of a longer training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.training.callbacks import save_checkpoint
from lightning_mia.utilities.errors import InputError

OTHER_LIMITS = {"max_steps": -1, "max_time": None, "min_epochs": None, "min_steps": None}
"""Other Trainer options that end a training, with the values that disable them."""


class StopAfter(L.Callback):
    """Ends a training early.

    Learning rates follow the schedule of the full length. The callback lowers `max_epochs` when training starts, and
    has to come before callbacks that read it.

    Args:
        epochs: epochs after which training ends.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Lower `max_epochs` after the learning-rate schedule was created."""
        trainer.fit_loop.max_epochs = self.epochs


class KeepCheckpoints(L.Callback):
    """Keeps checkpoints of selected epochs.

    A training that stops after one of these epochs can start from its checkpoint.

    Args:
        folder: folder of the training.
        epochs: epochs after which a checkpoint is kept.
    """

    def __init__(self, folder: Path, epochs: Sequence[int]) -> None:
        self.folder, self.epochs = folder, epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save a checkpoint if this epoch is to be kept."""
        if trainer.current_epoch + 1 in self.epochs:
            save_checkpoint(trainer, kept_checkpoint(self.folder, trainer.current_epoch + 1))


def kept_checkpoint(folder: Path, epochs: int) -> Path:
    """Return the path of an intermediate checkpoint.

    >>> kept_checkpoint(Path("target"), 5).name
    'epoch_0005.ckpt'
    """
    return folder / f"epoch_{epochs:04d}.ckpt"


def check_length(options: dict[str, Any]) -> None:
    """Validate `stop_after_epochs` and `keep_epochs`.

    Args:
        options: Trainer options, with these two.

    Raises:
        InputError: an epoch is out of range, or another option ends the training too.
    """
    stop, kept, length = options.get("stop_after_epochs"), options.get("keep_epochs") or [], options.get("max_epochs")
    if kept and min(kept) < 1:
        raise InputError(f"trainer.keep_epochs is {kept}: give epochs, 1 or more")
    if stop is None:
        return
    if length is None or not 1 <= stop <= length:
        raise InputError(
            f"trainer.stop_after_epochs is {stop}: give 1 to trainer.max_epochs ({length}), "
            "the full length of the training"
        )
    for name, unset in OTHER_LIMITS.items():
        if options.get(name, unset) not in (unset, None):
            raise InputError(f"trainer.stop_after_epochs and trainer.{name} both end a training: leave one of them out")


def length_note(options: dict[str, Any]) -> str:
    """Describe an early end for the report.

    Returns an empty string for a training of full length.
    """
    stop, length = options.get("stop_after_epochs"), options.get("max_epochs")
    if stop in (None, length):
        return ""
    return (
        f"The models are checkpoints after epoch {stop} of training runs scheduled for {length} epochs, with the "
        f"learning rates of that length: training for {stop} epochs only would give other models."
    )
