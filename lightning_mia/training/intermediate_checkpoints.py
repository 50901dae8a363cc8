"""A training that ends before the length that it is set up for, as one checkpoint of a longer training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from lightning_mia.training.callbacks import save_checkpoint
from lightning_mia.utilities.errors import InputError

OTHER_ENDS = {"max_steps": -1, "max_time": None, "min_epochs": None, "min_steps": None}
"""Options of a Trainer that also say when a training ends, with the value that leaves it alone."""


class StopAfter(L.Callback):
    """Ends a training after some epochs; learning rates stay those of the length that it is set up for.

    It has to come before the callbacks that look at the length: from the first step on it is the shorter one.

    Args:
        epochs: passes over the training set.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shorten the training, once the schedule of the learning rate is made."""
        trainer.fit_loop.max_epochs = self.epochs


class KeepCheckpoints(L.Callback):
    """Keeps a checkpoint of some epochs, from each of which the training that stops there can be finished.

    Args:
        folder: of the training.
        epochs: after which a checkpoint is kept.
    """

    def __init__(self, folder: Path, epochs: Sequence[int]) -> None:
        self.folder, self.epochs = folder, epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save one where it is wanted."""
        if trainer.current_epoch + 1 in self.epochs:
            save_checkpoint(trainer, kept_checkpoint(self.folder, trainer.current_epoch + 1))


def kept_checkpoint(folder: Path, epochs: int) -> Path:
    """The file that a training keeps after so many epochs.

    >>> kept_checkpoint(Path("target"), 5).name
    'epoch_0005.ckpt'
    """
    return folder / f"epoch_{epochs:04d}.ckpt"


def check_length(options: dict[str, Any]) -> None:
    """Refuse a shorter end that is no epoch of the training, or stands beside another one.

    Args:
        options: of a Trainer, and `stop_after_epochs` and `keep_epochs`.

    Raises:
        InputError: one of the two cannot be used.
    """
    stop, kept, length = options.get("stop_after_epochs"), options.get("keep_epochs") or [], options.get("max_epochs")
    if kept and min(kept) < 1:
        raise InputError(f"trainer.keep_epochs is {kept}: give epochs, 1 or more")
    if stop is None:
        return
    if length is None or not 1 <= stop <= length:
        raise InputError(
            f"trainer.stop_after_epochs is {stop}: give 1 to trainer.max_epochs, the length ({length}) that the "
            "training is set up for"
        )
    for name, unset in OTHER_ENDS.items():
        if options.get(name, unset) not in (unset, None):
            raise InputError(f"trainer.stop_after_epochs and trainer.{name} both end a training: leave one of them out")


def length_note(options: dict[str, Any]) -> str:
    """What the report should say of the models, in a sentence; empty: they are trained to their whole length."""
    stop, length = options.get("stop_after_epochs"), options.get("max_epochs")
    if stop in (None, length):
        return ""
    return (
        f"The models are those after epoch {stop} of trainings that are set up for {length}, with the learning rates "
        f"of that length: a training of {stop} epochs alone would give other models."
    )
