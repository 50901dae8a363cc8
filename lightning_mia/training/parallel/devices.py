"""Assign one device to each worker, round-robin."""

import multiprocessing
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from lightning.pytorch.strategies import ParallelStrategy

from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.environment import SMALL_MODEL, free_memory_gib, physical_cores
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import MAX_PROCESSES

MODELS_PER_GPU = 8
GIB_PER_MODEL_ON_GPU = 4.0
"""Memory of a GPU that a small model may take: its batch, and the context of its process."""
GIB_PER_WORKER = 1.5
"""Memory that a worker process may take; PyTorch and Lightning alone take 0.6."""

Settings = TypeVar("Settings", bound=ExecutorSettings)


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
    if settings.n_workers == 1 and settings.engine == "local":
        return
    if distributes(trainers):
        setting = "fleet.engine is ray" if settings.engine == "ray" else f"fleet.workers is {settings.workers}"
        remedy = "--fleet.engine local --fleet.workers 1" if settings.engine == "ray" else "--fleet.workers 1"
        raise InputError(
            f"{setting}, which trains each model on one device, but trainer.devices, trainer.num_nodes or "
            f"trainer.strategy distribute a model over processes; give {remedy}, or --trainer.devices 1 and no strategy"
        )


def distributes(trainers: TrainerFactory) -> bool:
    """Test whether each model is distributed over devices."""
    trainer = trainers.for_probing(Path(), [])
    return trainer.num_devices * trainer.num_nodes > 1 or isinstance(trainer.strategy, ParallelStrategy)


def settle_workers(settings: Settings, trainers: TrainerFactory, n_parameters: int) -> Settings:
    """Replace `workers: auto` by a number.

    It is the number of physical cores divided by the threads of a model, limited by memory. GPUs take up to
    `MODELS_PER_GPU` small models each, or one large one. A model that is distributed over devices, and a process that
    is itself a worker, train one at a time.

    Args:
        settings: workers and executor.
        trainers: creates the Trainers of all models.
        n_parameters: size of a model.
    """
    if settings.workers != "auto":
        return settings
    if settings.engine == "ray":
        return replace(settings, workers=min(MAX_PROCESSES, physical_cores()))
    if multiprocessing.parent_process() is not None or distributes(trainers):
        return replace(settings, workers=1)
    cores = physical_cores()
    if gpus := worker_gpus(trainers):
        per_gpu = 1 if n_parameters >= SMALL_MODEL else MODELS_PER_GPU
        gib = min(torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())) / 2**30
        limit = len(gpus) * max(1, min(per_gpu, int(gib / GIB_PER_MODEL_ON_GPU)))
    else:
        limit, cores = MAX_PROCESSES, cores // torch.get_num_threads()
    return replace(settings, workers=max(1, min(cores, limit, int(free_memory_gib() / GIB_PER_WORKER))))


def worker_gpus(trainers: TrainerFactory) -> list[str]:
    """List the GPUs for workers, named as in CUDA_VISIBLE_DEVICES.

    These are all visible GPUs, unless trainer.devices selects some; the list is empty without GPUs.
    """
    if trainers.device() != "cuda":
        return []
    names = visible_gpus(torch.cuda.device_count(), os.environ)
    devices = trainers.options.get("devices")
    if isinstance(devices, list | tuple) or (isinstance(devices, str) and "," in devices):
        return [names[index] for index in trainers.for_probing(Path(), []).device_ids]
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
