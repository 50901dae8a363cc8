"""Assign one device to each worker, round-robin."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.pytorch.strategies import ParallelStrategy

from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError


def check_one_device(trainers: TrainerFactory, settings: ExecutorSettings) -> None:
    """Refuse parallel models that each take several devices.

    A model on several devices takes all of them, and a shadow model on fewer devices than the target would not be
    trained like the target.

    Args:
        trainers: creates the Trainers of all models.
        settings: workers and executor.

    Raises:
        InputError: the Trainer's options distribute a model over devices.
    """
    if settings.workers == 1 and settings.engine == "local":
        return
    trainer = trainers.for_probing(Path(), "", [])
    if trainer.num_devices * trainer.num_nodes > 1 or isinstance(trainer.strategy, ParallelStrategy):
        several = "fleet.engine is ray" if settings.engine == "ray" else f"fleet.workers is {settings.workers}"
        remedy = "--fleet.engine local --fleet.workers 1" if settings.engine == "ray" else "--fleet.workers 1"
        raise InputError(
            f"{several}, each with one model on one device, but trainer.devices, trainer.num_nodes or "
            f"trainer.strategy distribute a model over processes; give {remedy}, or --trainer.devices 1 and no strategy"
        )


def worker_gpus(trainers: TrainerFactory) -> list[str]:
    """List the GPUs for workers, named as in CUDA_VISIBLE_DEVICES.

    These are all visible GPUs, unless trainer.devices selects some; the list is empty without GPUs.
    """
    if trainers.device() != "cuda":
        return []
    names = visible_gpus(torch.cuda.device_count(), os.environ)
    devices = trainers.options.get("devices")
    if isinstance(devices, list | tuple) or (isinstance(devices, str) and "," in devices):
        return [names[index] for index in trainers.for_probing(Path(), "", []).device_ids]
    return names


def visible_gpus(n_gpus: int, environment: Mapping[str, str]) -> list[str]:
    """Name the GPUs visible to this process.

    >>> visible_gpus(2, {}), visible_gpus(2, {"CUDA_VISIBLE_DEVICES": "3,GPU-5ebe9"})
    (['0', '1'], ['3', 'GPU-5ebe9'])
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES", "")
    if not listed:
        return [str(index) for index in range(n_gpus)]
    return [name.strip() for name in listed.split(",")][:n_gpus]
