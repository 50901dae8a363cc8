"""Fresh weights for a model of a given configuration."""

import inspect
from typing import Any, TypeVar

import torch

from lightning_mia.models.base import SpeechModel

Model = TypeVar("Model", bound=SpeechModel)


def hyperparameters_of(model: SpeechModel) -> dict[str, Any]:
    """The constructor arguments that a model was made with."""
    names = inspect.signature(type(model).__init__).parameters
    return {name: value for name, value in model.hparams.items() if name in names}


def initialise(like: Model, seed: int) -> Model:
    """A new model with the class and configuration of `like`, its weights drawn from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(like)(**hyperparameters_of(like))
