"""The conductor: a Trainer whose options say how every model of an audit is trained."""

import copy
import os
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelSummary,
    ProgressBar,
)
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_mia.training.progress import StageProgressBar

OF_CONSEQUENCE = (  # the Trainer options that change what is learned
    "max_epochs",
    "max_steps",
    "max_time",
    "precision",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "limit_train_batches",
    "overfit_batches",
    "deterministic",
)
BYSTANDERS = (ProgressBar, LearningRateMonitor, DeviceStatsMonitor, ModelSummary)


class TrainerFactory:
    """Makes one fresh Trainer for every model that is trained or probed.

    A Trainer keeps the state of its last run; the target, its controls and each probe get one of their own, all with
    the same options.

    Args:
        options: arguments of `lightning.Trainer`.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def for_training(self, folder: Path, stage: str, callbacks: list[Callback]) -> Trainer:
        """A Trainer that fits one model and logs to `folder/tensorboard`."""
        logger = self.options.get("logger")
        if logger in (None, True):
            logger = TensorBoardLogger(folder, name=None, version="tensorboard", default_hp_metric=False)
        return self._make(folder, stage, callbacks, logger=copy.deepcopy(logger))

    def for_probing(self, folder: Path, stage: str, callbacks: list[Callback]) -> Trainer:
        """A Trainer that predicts."""
        return self._make(folder, stage, callbacks, logger=False)

    def _make(self, folder: Path, stage: str, callbacks: list[Callback], logger: Any) -> Trainer:
        given = self.options.get("callbacks") or []
        given = copy.deepcopy(given if isinstance(given, list) else [given])
        bars = self.options.get("enable_progress_bar") is not False
        if bars and not any(isinstance(callback, ProgressBar) for callback in given):
            callbacks = [*callbacks, StageProgressBar(stage)]
        options = {
            **self.options,
            "default_root_dir": folder,
            "callbacks": [*given, *callbacks],
            "logger": logger,
            "use_distributed_sampler": False,  # every process takes its own share of the batches
            "enable_model_summary": False,
            "enable_checkpointing": None,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the options were checked, and warned of, once before
            return Trainer(**options)

    def of_consequence(self) -> dict[str, Any]:
        """The options, and the callbacks, that change what is learned; for the hash of a stage."""
        callbacks = self.options.get("callbacks") or []
        callbacks = callbacks if isinstance(callbacks, list) else [callbacks]
        return {
            **{key: self.options.get(key) for key in OF_CONSEQUENCE},
            "callbacks": [callback.state_key for callback in callbacks if not isinstance(callback, BYSTANDERS)],
        }


def training_seed() -> int:
    """The seed that `seed_everything` set, or 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))
