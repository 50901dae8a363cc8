"""The conductor: a Trainer whose options say how every model of an audit is trained."""

import copy
import os
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import MPSAccelerator
from lightning.pytorch.callbacks import (
    Callback,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)
from lightning.pytorch.loggers import TensorBoardLogger

from lightning_mia.audit.monitor import LeakageMonitor
from lightning_mia.training.dp_sgd import ClippedGradients, PerExampleGradients
from lightning_mia.training.intermediate_checkpoints import KeepCheckpoints, StopAfter, check_length
from lightning_mia.training.progress import StageProgressBar
from lightning_mia.utilities.errors import InputError

NOT_FINGERPRINTED = {  # the Trainer options that do not change what is learned
    "accelerator",
    "barebones",
    "benchmark",
    "check_val_every_n_epoch",
    "callbacks",  # those that have a consequence are added
    "default_root_dir",
    "detect_anomaly",
    "devices",
    "enable_autolog_hparams",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "inference_mode",
    "keep_epochs",
    "limit_test_batches",
    "limit_val_batches",
    "log_every_n_steps",
    "logger",
    "model_registry",
    "num_nodes",
    "num_sanity_val_steps",
    "per_example",  # added where it is wanted
    "plugins",
    "profiler",
    "strategy",
    "use_distributed_sampler",
    "val_check_interval",
}
OF_LENGTH = ("stop_after_epochs", "keep_epochs")
OURS = ("per_example", *OF_LENGTH)  # options that Lightning does not know
REFUSED = ("fast_dev_run", "limit_predict_batches")  # an audit is whole, or it is none
PASSIVE_CALLBACKS = (ProgressBar, LearningRateMonitor, DeviceStatsMonitor, ModelCheckpoint, ModelSummary)


class TrainerFactory:
    """Makes one fresh Trainer for every model that is trained or probed.

    A Trainer keeps the state of its last run; the target, its controls and each probe get one of their own, all with
    the same options.

    Args:
        options: arguments of `lightning.Trainer`, and `per_example`, `stop_after_epochs`, `keep_epochs`
            (`AuditTrainer`).

    Attributes:
        monitor: the callback that measures leakage, where there is one among the options; the other Trainers that come
            from these options go without it, since it watches the target alone.

    Raises:
        InputError: there are two monitors, an option by which part of the recordings would be left out unseen, or a
            length that no training can have.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        for name in REFUSED:
            if options.get(name):
                raise InputError(f"trainer.{name} leaves recordings out and has no place in an audit; remove it")
        check_length(options)
        callbacks = _as_list(options.get("callbacks"))
        monitors = [one for one in callbacks if isinstance(one, LeakageMonitor)]
        if len(monitors) > 1:
            raise InputError("trainer.callbacks has several LeakageMonitors: give one, with all attacks in its list")
        self.monitor = monitors[0] if monitors else None
        self.options = (
            {**options, "callbacks": [one for one in callbacks if one not in monitors]} if monitors else options
        )

    def for_training(self, folder: Path, stage: str, callbacks: list[Callback]) -> Trainer:
        """A Trainer that fits one model and logs to `folder/tensorboard`."""
        if self.per_example.enabled:
            callbacks = [*callbacks, ClippedGradients(self.per_example)]
        if stop := self.options.get("stop_after_epochs"):
            callbacks = [StopAfter(stop), *callbacks]
        if kept := self.options.get("keep_epochs"):
            callbacks = [*callbacks, KeepCheckpoints(folder, kept)]  # last, so that it holds what the others saw
        if self.options.get("logger") not in (None, True):  # the user's own, or none
            return self._make(folder, stage, callbacks)
        logger = TensorBoardLogger(folder, name=None, version="tensorboard", default_hp_metric=False)
        return self._make(folder, stage, callbacks, logger=logger)

    def for_probing(self, folder: Path, stage: str, callbacks: list[Callback]) -> Trainer:
        """A Trainer that predicts, in float32: at lower precision padding would move the signals."""
        return self._make(folder, stage, callbacks, logger=False, precision="32-true")

    def _make(self, folder: Path, stage: str, callbacks: list[Callback], **changes: Any) -> Trainer:
        options = copy.deepcopy(self.options)  # strategies, loggers and callbacks keep the state of a run too
        for ours in OURS:
            options.pop(ours, None)
        given = _as_list(options.get("callbacks"))
        bars = options.get("enable_progress_bar") is not False
        if bars and not any(isinstance(callback, ProgressBar) for callback in given):
            callbacks = [*callbacks, StageProgressBar(stage)]
        if options.get("accelerator") in (None, "auto") and MPSAccelerator.is_available():
            options["accelerator"] = "cpu"  # similarities are accumulated in float64, which MPS does not have
        options |= {
            "default_root_dir": folder,
            "callbacks": [*given, *callbacks],
            "use_distributed_sampler": False,  # every process takes its own share of the batches
            "enable_model_summary": False,
            "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in given),
            **changes,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the options were checked, and warned of, once before
            return Trainer(**options)

    def of_epochs(self, max_epochs: int) -> "TrainerFactory":
        """The same options, for a training of another length."""
        return self.with_options(max_epochs=max_epochs, max_steps=-1, **dict.fromkeys(OF_LENGTH))

    def check_limits(self, monitor: LeakageMonitor | None) -> None:
        """Refuse a monitor that may end a training whose end is set.

        Raises:
            InputError: it is one.
        """
        if monitor and monitor.limits and self.options.get("stop_after_epochs"):
            raise InputError(
                f"trainer.stop_after_epochs and a monitor with {' and '.join(monitor.limits)} both end the target's "
                "training: leave one of them out"
            )

    def with_options(self, **options: Any) -> "TrainerFactory":
        """The same options, but for these."""
        return TrainerFactory({**self.options, **options})

    @property
    def per_example(self) -> PerExampleGradients:
        """How gradients are clipped per example, if they are."""
        settings: PerExampleGradients = self.options.get("per_example", PerExampleGradients())
        return settings

    @property
    def shows_progress(self) -> bool:
        """Whether progress bars are wanted, on this process."""
        return self.options.get("enable_progress_bar") is not False and int(os.environ.get("LOCAL_RANK", 0)) == 0

    def device(self) -> str:
        """Where a model is asked outside a Trainer: one GPU, where the options do not rule it out."""
        gpu = self.options.get("accelerator") in (None, "auto", "gpu", "cuda") and torch.cuda.is_available()
        return "cuda" if gpu else "cpu"

    def fingerprint(self) -> dict[str, Any]:
        """The options, and the callbacks, that change what is learned; for the hash of a stage."""
        options = {key: value for key, value in self.options.items() if key not in NOT_FINGERPRINTED and value}
        if self.per_example.enabled:
            options["per_example"] = asdict(self.per_example)
        callbacks = [one for one in _as_list(self.options.get("callbacks")) if not isinstance(one, PASSIVE_CALLBACKS)]
        return {**options, "callbacks": [_describe(callback) for callback in callbacks]}


def _as_list(callbacks: Any) -> list[Callback]:
    return callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []


def _describe(callback: Callback) -> dict[str, Any]:
    """A callback's class and settings, before it has seen a training."""
    settings = {key: value for key, value in vars(callback).items() if isinstance(value, bool | int | float | str)}
    return {"class": type(callback).__name__, **settings}


def training_seed() -> int:
    """The seed that `seed_everything` set, or 0."""
    return int(os.environ.get("PL_GLOBAL_SEED", 0))
