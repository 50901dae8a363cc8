"""Create a fresh Lightning Trainer for each training or probe."""

import copy
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import MPSAccelerator
from lightning.pytorch.callbacks import (
    Callback,
    ModelCheckpoint,
    ProgressBar,
)
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from lightning_mia.training.dp_sgd import ClippedGradients, PerExampleGradients
from lightning_mia.training.intermediate_checkpoints import KeepCheckpoints, StopAfter, check_length
from lightning_mia.training.job_trainer import JobTrainer
from lightning_mia.training.loggers import as_recipes, make_loggers
from lightning_mia.training.progress import StageProgressBar
from lightning_mia.training.trainer_options import (
    LENGTH_OPTIONS,
    NO_CLIPPING,
    OWN_OPTIONS,
    as_callbacks,
    check_options,
    fingerprint,
)


class TrainerFactory:
    """Creates a fresh Trainer for each training or probe.

    A Trainer keeps the state of its last run, so target, controls, shadow models and probes each get their own, with
    the same options.

    Args:
        options: arguments of `lightning.Trainer`, plus `per_example`, `stop_after_epochs` and `keep_epochs`
            (see `AuditTrainer`).

    Raises:
        InputError: an option would omit recordings, or the training length is invalid.

    Example:
        >>> factory = TrainerFactory({"max_epochs": 20, "accelerator": "cpu"})
        >>> factory.fingerprint()  # the accelerator does not change the weights
        {'max_epochs': 20, 'callbacks': []}
        >>> factory.with_epochs(0).options["max_epochs"]
        0
    """

    def __init__(self, options: dict[str, Any]) -> None:
        check_options(options)
        check_length(options)
        self.options = {**options, "logger": as_recipes(options["logger"])} if "logger" in options else options

    def for_training(self, folder: Path, stage: str, callbacks: list[Callback]) -> Trainer:
        """Create a Trainer for one training; logs go to `folder/tensorboard`."""
        if self.per_example.enabled:
            callbacks = [*callbacks, ClippedGradients(self.per_example)]
        if stop := self.options.get("stop_after_epochs"):
            callbacks = [StopAfter(stop), *callbacks]
        if epochs := self.options.get("keep_epochs"):
            callbacks = [*callbacks, KeepCheckpoints(folder, epochs)]  # last, so that it saves the others' states
        if self.options.get("logger") not in (None, True):  # user-supplied, or False
            return self._make(folder, callbacks, stage, logger=self.loggers(folder) or False)
        logger = TensorBoardLogger(folder, name=None, version="tensorboard", default_hp_metric=False)
        return self._make(folder, callbacks, stage, logger=logger)

    def loggers(self, folder: Path) -> list[Logger]:
        """Make the user's loggers for one stage; none, if there are none.

        Args:
            folder: folder of the stage in the run directory, which names their runs.
        """
        return make_loggers(self.options.get("logger"), folder)

    def for_probing(self, folder: Path, callbacks: list[Callback]) -> Trainer:
        """Create a Trainer that predicts in float32, without a progress bar.

        At lower precision, padding would change the signals.
        """
        return self._make(folder, callbacks, logger=False, precision="32-true")

    def _make(self, folder: Path, callbacks: list[Callback], stage: str = "", **changes: Any) -> Trainer:
        options = copy.deepcopy(self.options)  # strategies, loggers and callbacks keep the state of a run too
        for name in OWN_OPTIONS:
            options.pop(name, None)
        user_callbacks = as_callbacks(options.get("callbacks"))
        shows_bars = options.get("enable_progress_bar") is not False
        if shows_bars and not any(isinstance(callback, ProgressBar) for callback in user_callbacks):
            callbacks = [*callbacks, *([StageProgressBar(stage)] if stage else [])]
            options["enable_progress_bar"] = bool(stage)
        if options.get("accelerator") in (None, "auto") and MPSAccelerator.is_available():
            options["accelerator"] = "cpu"  # MPS has no float64, in which similarities are accumulated
        options |= {
            "default_root_dir": folder,
            "callbacks": [*user_callbacks, *callbacks],
            "use_distributed_sampler": False,  # our batch sampler already shards
            "enable_model_summary": False,
            "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in user_callbacks),
            **changes,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `AuditTrainer` has already warned about the same options
            return JobTrainer(self.options, **options)

    def with_epochs(self, max_epochs: int) -> "TrainerFactory":
        """Return a factory with another training length."""
        return self.with_options(max_epochs=max_epochs, max_steps=-1, **dict.fromkeys(LENGTH_OPTIONS))

    def with_options(self, **options: Any) -> "TrainerFactory":
        """Return a factory with some options replaced."""
        return TrainerFactory({**self.options, **options})

    @property
    def per_example(self) -> PerExampleGradients:
        """Per-example gradient clipping."""
        settings: PerExampleGradients = self.options.get("per_example", NO_CLIPPING)
        return settings

    @property
    def shows_progress(self) -> bool:
        """Whether this process shows progress bars."""
        return self.options.get("enable_progress_bar") is not False and int(os.environ.get("LOCAL_RANK", 0)) == 0

    def device(self) -> str:
        """Choose the device for queries outside a Trainer.

        It is one GPU, unless there is none or the options exclude it.
        """
        gpu = self.options.get("accelerator") in (None, "auto", "gpu", "cuda") and torch.cuda.is_available()
        return "cuda" if gpu else "cpu"

    def fingerprint(self) -> dict[str, Any]:
        """Return options and callbacks that change the weights."""
        return fingerprint(self.options)


def training_seed() -> int:
    """Return the seed that `seed_everything` set, or 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))
