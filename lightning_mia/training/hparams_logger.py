"""TensorBoard's HParams tab: how a model was trained, beside what came of it."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

NOT_SHOWN = ("split", "recordings", "transcripts", "start", "callbacks")  # hashes, and what is not a plain value
SHORT = {"hyperparameters": "model", "model": "family"}  # names of the stage's settings → in the tab


@runtime_checkable
class LogsFigures(Protocol):
    """A callback whose last logged figures are to stand in the tab; the first ones are logged as training starts."""

    figures: list[str]


class Hyperparameters(L.Callback):
    """Tells TensorBoard the settings of a training, and which logged figures runs are to be compared by.

    It has to come after the callbacks that log these figures.

    Args:
        settings: of the training, JSON-like.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.values = dict(flatten(settings))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the settings, with the names of the figures: they must be declared with the first settings."""
        from torch.utils.tensorboard.summary import hparams

        if not trainer.is_global_zero:
            return
        logging = [callback for callback in trainer.callbacks if isinstance(callback, LogsFigures)]  # type: ignore[attr-defined]
        names = [*(name for callback in logging for name in callback.figures), "train/loss"]
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for summary in hparams(self.values, dict.fromkeys(names, 0.0)):  # no values: those are logged
                    logger.experiment._get_file_writer().add_summary(summary)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Yield (name, value) of the settings that say something to a reader.

    >>> dict(flatten({"model": "TERA", "hyperparameters": {"dim": 64, "targets_from": None}, "split": "a41f"}))
    {'family': 'TERA', 'model.dim': 64, 'model.targets_from': 'none'}
    """
    for key, value in settings.items():
        name = prefix + (key if prefix else SHORT.get(key, key))
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif key not in NOT_SHOWN and isinstance(value, bool | int | float | str | None):
            yield name, "none" if value is None else value
