"""Options of the Trainer: which are refused, and which change the weights."""

import inspect
import os
from dataclasses import asdict
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    DeviceStatsMonitor,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    ProgressBar,
)

from lightning_mia.training.dp_sgd import PerExampleGradients
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import MAX_PROCESSES, Range

NOT_FINGERPRINTED = {  # Trainer options that do not change the trained weights
    "accelerator",
    "barebones",
    "benchmark",
    "check_val_every_n_epoch",
    "callbacks",  # `fingerprint` adds those that change the weights
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
    "per_example",  # `fingerprint` adds it if enabled
    "plugins",
    "profiler",
    "strategy",
    "use_distributed_sampler",
    "val_check_interval",
}
LENGTH_OPTIONS = ("stop_after_epochs", "keep_epochs")
OWN_OPTIONS = ("per_example", *LENGTH_OPTIONS)  # unknown to Lightning
REFUSED: dict[str, tuple[Any, ...]] = {  # would silently omit recordings, but for these values
    "fast_dev_run": (None, False, 0),
    "overfit_batches": (None, 0, 0.0),
    "limit_train_batches": (None, 1.0),
    "limit_predict_batches": (None, 1.0),
}
PASSIVE_CALLBACKS = (ProgressBar, LearningRateMonitor, DeviceStatsMonitor, ModelCheckpoint, ModelSummary)
NO_CLIPPING = PerExampleGradients()
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(Trainer).parameters.items()}
RANGES = {
    "accumulate_grad_batches": Range(1, 1_000_000),
    "gradient_clip_val": Range(0),
    "log_every_n_steps": Range(0, 1_000_000_000),
    "max_epochs": Range(-1, 1_000_000),
    "max_steps": Range(-1, 1_000_000_000_000),
    "min_epochs": Range(0, 1_000_000),
    "min_steps": Range(0, 1_000_000_000_000),
    "num_nodes": Range(1, 10_000),
    "reload_dataloaders_every_n_epochs": Range(0, 1_000_000),
}
"""Ranges of Lightning's numbers; -1: no limit."""
SAME_AS_DEFAULT = {"precision": "32-true", "deterministic": False, "gradient_clip_algorithm": "norm"}
"""Values that mean the same as a default of None."""
PRECISIONS = {"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"}


def check_options(options: dict[str, Any]) -> None:
    """Refuse options that omit recordings or are out of range.

    Args:
        options: Trainer options.

    Raises:
        InputError: an option limits the batches of a training or a probe, or is out of range.
    """
    for name, harmless in REFUSED.items():
        value = options.get(name)
        if not any(value == allowed and type(value) is type(allowed) for allowed in harmless):  # 1 is one batch
            raise InputError(f"trainer.{name} omits recordings, which would invalidate an audit; remove it")
    for name, limits in RANGES.items():
        value = options.get(name)
        if isinstance(value, int | float) and value not in limits:
            raise InputError(f"trainer.{name} is {value}: give {limits}")
    devices = options.get("devices")
    if str(devices).isdecimal() and int(str(devices)) > MAX_PROCESSES:
        raise InputError(f"trainer.devices is {devices}: this machine has {os.cpu_count()} CPU cores; give fewer")


def fingerprint(options: dict[str, Any]) -> dict[str, Any]:
    """Return options and callbacks that change the weights.

    Defaults are left out, and equal settings, such as the precisions 32 and 32-true, give equal fingerprints.

    Args:
        options: Trainer options, plus our own.

    >>> fingerprint({"max_epochs": 3, "accelerator": "cpu", "precision": 32, "gradient_clip_val": 0})
    {'max_epochs': 3, 'gradient_clip_val': 0.0, 'callbacks': []}
    """
    relevant = {name: _normalised(name, value) for name, value in options.items() if name not in NOT_FINGERPRINTED}
    relevant = {name: value for name, value in relevant.items() if value or value != DEFAULTS.get(name)}
    per_example: PerExampleGradients = options.get("per_example", NO_CLIPPING)
    if per_example.enabled:
        relevant["per_example"] = asdict(per_example)
    callbacks = as_callbacks(options.get("callbacks"))
    active = [callback for callback in callbacks if not isinstance(callback, PASSIVE_CALLBACKS)]
    return {**relevant, "callbacks": [_describe(callback) for callback in active]}


def as_callbacks(option: Any) -> list[Callback]:
    """Return the Trainer's option `callbacks` as a list."""
    return option if isinstance(option, list) else [option] if option else []


def _normalised(name: str, value: Any) -> Any:
    if name == "precision" and value is not None:
        value = PRECISIONS.get(str(value), value)
    if name == "gradient_clip_val" and isinstance(value, int):
        value = float(value)
    return None if name in SAME_AS_DEFAULT and value == SAME_AS_DEFAULT[name] else value


def _describe(callback: Callback) -> dict[str, Any]:
    """Describe a callback by class and plain attributes."""
    return {
        "class": type(callback).__name__,
        **{name: value for name, value in vars(callback).items() if _is_plain(value)},
    }


def _is_plain(value: Any) -> bool:
    """Test whether a value is a number, a text, or a filled container of them."""
    if isinstance(value, dict | list) and value:
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bool | int | float | str)
