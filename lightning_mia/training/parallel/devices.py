"""Where the workers of a fleet compute: each on one device, in turns over the GPUs that there are."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from lightning.pytorch.strategies import ParallelStrategy

from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.training.trainer_factory import TrainerFactory
from lightning_mia.utilities.errors import InputError


def check_one_device(trainers: TrainerFactory, settings: EngineSettings) -> None:
    """Refuse several workers, or Ray, where one model is trained on several devices.

    A model on several devices takes all that there are, and a shadow model on fewer devices than the target would not
    be trained like it.

    Args:
        trainers: makes the Trainers of all models.
        settings: where the models are trained.

    Raises:
        InputError: the Trainer's options spread a model.
    """
    if settings.workers == 1 and settings.engine == "local":
        return
    trainer = trainers.for_probing(Path(), "", [])
    if trainer.num_devices * trainer.num_nodes > 1 or isinstance(trainer.strategy, ParallelStrategy):
        several = "fleet.engine is ray" if settings.engine == "ray" else f"fleet.workers is {settings.workers}"
        mend = "--fleet.engine local --fleet.workers 1" if settings.engine == "ray" else "--fleet.workers 1"
        raise InputError(
            f"{several}, each with one model on one device, but trainer.devices, trainer.num_nodes or "
            f"trainer.strategy spread a model over processes; give {mend}, or --trainer.devices 1 and no strategy"
        )


def gpus_of(trainers: TrainerFactory) -> list[str]:
    """The GPUs over which workers are spread, as CUDA_VISIBLE_DEVICES names them; empty: they compute elsewhere.

    All that there are; where trainer.devices says which one, that one.
    """
    if trainers.device() != "cuda":
        return []
    names = visible_gpus(torch.cuda.device_count(), os.environ)
    devices = trainers.options.get("devices")
    if isinstance(devices, list | tuple) or (isinstance(devices, str) and "," in devices):
        return [names[index] for index in trainers.for_probing(Path(), "", []).device_ids]
    return names


def visible_gpus(n_gpus: int, environment: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that this process sees.

    >>> visible_gpus(2, {}), visible_gpus(2, {"CUDA_VISIBLE_DEVICES": "3,GPU-5ebe9"})
    (['0', '1'], ['3', 'GPU-5ebe9'])
    """
    named = environment.get("CUDA_VISIBLE_DEVICES", "")
    return [name.strip() for name in named.split(",")][:n_gpus] if named else [str(index) for index in range(n_gpus)]
