"""Log hyperparameters to TensorBoard's HParams tab."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

NOT_SHOWN = ("split", "recordings", "transcripts", "start", "callbacks")  # hashes, and values that are not plain
RENAMED = {"hyperparameters": "model", "model": "family"}  # name in the stage's settings → name in the tab


@runtime_checkable
class HasMetrics(Protocol):
    """A callback whose logged metrics are shown in the tab.

    It has to log them once when training starts.
    """

    metrics: list[str]


class Hyperparameters(L.Callback):
    """Logs settings of a training, and metrics to compare.

    It has to come after the callbacks that log these metrics.

    Args:
        settings: settings of the training, JSON-like.

    Example:
        >>> Hyperparameters({"model": "TERA", "trainer": {"max_epochs": 5}}).values
        {'family': 'TERA', 'trainer.max_epochs': 5}
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.values = dict(flatten(settings))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the settings and the metric names."""
        from torch.utils.tensorboard.summary import hparams

        if not trainer.is_global_zero:
            return
        callbacks = [callback for callback in trainer.callbacks if isinstance(callback, HasMetrics)]  # type: ignore[attr-defined]
        names = [*(name for callback in callbacks for name in callback.metrics), "train/loss"]
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for summary in hparams(self.values, dict.fromkeys(names, 0.0)):  # the values are logged separately
                    logger.experiment._get_file_writer().add_summary(summary)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Yield (name, value) of the settings worth showing.

    >>> dict(flatten({"model": "TERA", "hyperparameters": {"dim": 64, "targets_from": None}, "split": "a41f"}))
    {'family': 'TERA', 'model.dim': 64, 'model.targets_from': 'none'}
    """
    for key, value in settings.items():
        name = prefix + (key if prefix else RENAMED.get(key, key))
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}.")
        elif key not in NOT_SHOWN and isinstance(value, bool | int | float | str | None):
            yield name, "none" if value is None else value
