"""Weights for a model of the config, refused in one line where they do not fit."""

import inspect
import pickle
import zipfile
from collections.abc import Callable
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from lightning_mia.models.base import SpeechModel
from lightning_mia.utilities.errors import InputError, list_first

Model = TypeVar("Model", bound=SpeechModel)
LIGHTNING_CLI_KEYS = {"_instantiator", "_class_path"}  # what LightningCLI leaves among the hyperparameters


def model_from_checkpoint(path: Path | str) -> SpeechModel:
    """The model that a training left, of whatever class and configuration, in evaluation mode on the CPU.

    Args:
        path: Lightning checkpoint of one of our own models.

    Raises:
        InputError: missing, not a checkpoint, would need unsafe unpickling, of no class that is known, or of one
            that has changed since.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    origin = checkpoint.get("lightning_mia", {})
    model_class = _class_of(path, origin.get("model_class"))
    settings = _settings(path, checkpoint["hyper_parameters"], model_class)
    model = build(partial(model_class, **settings))
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(f"The weights of {path} do not fit its hyperparameters, it is damaged: {first}") from error
    model.origin = origin
    return model.eval()


def build(make: Callable[[], Model]) -> Model:
    """Make a model inside the constructor of another, as if it stood alone.

    Its weights, where none are loaded, come from a seed of their own and use up none of the caller's draws. And
    it keeps its own hyperparameters: LightningCLI leaves those of the outer model in a context variable, which
    `save_hyperparameters` would take for the inner one's.

    Args:
        make: calls the constructor.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Context().run(make)


def model_class_named(name: str) -> type[SpeechModel]:
    """Find a family by the name of its class.

    Raises:
        InputError: no imported module defines it.
    """
    known = {found.__name__: found for found in _subclasses(SpeechModel) if not inspect.isabstract(found)}
    if name not in known:
        raise InputError(f"a model {name} that is not known; known are {', '.join(sorted(known))}")
    return known[name]


def _class_of(path: Path, name: object) -> type[SpeechModel]:
    if not isinstance(name, str):
        raise InputError(f"{path} does not say of which model it is; give a .ckpt that `fit` of lightning-mia wrote")
    try:
        return model_class_named(name)
    except InputError as error:
        raise InputError(f"{path} is of {error}") from error


def _subclasses(of: type) -> list[type]:
    children: list[type] = of.__subclasses__()
    return [*children, *(found for child in children for found in _subclasses(child))]


def _settings(path: Path, theirs: dict[str, Any], model_class: type[SpeechModel]) -> dict[str, Any]:
    """The constructor's arguments out of a checkpoint's hyperparameters."""
    arguments = inspect.signature(model_class).parameters
    settings = {name: value for name, value in theirs.items() if name not in LIGHTNING_CLI_KEYS}
    unknown = sorted(settings.keys() - arguments.keys())
    missing = [name for name, argument in arguments.items() if argument.default is inspect.Parameter.empty]
    missing = [name for name in missing if name not in settings]
    if unknown or missing:
        named = list_first([*(f"{name} is unknown" for name in unknown), *(f"{name} is missing" for name in missing)])
        raise InputError(f"{path} was made by another version of {model_class.__name__}: {named}; train it anew")
    return settings


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a Lightning checkpoint, unpickled safely (`weights_only`).

    Raises:
        InputError: missing, not a checkpoint, or it would need unsafe unpickling.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the .ckpt that `fit` wrote")
    if not path.is_file():
        raise InputError(f"Checkpoint {path} does not exist; give the .ckpt that `fit` wrote, or run `fit` first")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise InputError(
                f"{path} holds more than weights and would need unsafe unpickling, which could run code: refused; "
                "save it again with tensors and plain values only"
            ) from error
        raise InputError(f"{path} is not a checkpoint; give a .ckpt that `fit` wrote") from error
    except Exception as error:  # garbage makes the unpickler stumble in many ways
        raise InputError(f"{path} is not a checkpoint, or is damaged; give a .ckpt that `fit` wrote") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "hyper_parameters"} <= checkpoint.keys():
        raise InputError(f"{path} is not a Lightning checkpoint with hyperparameters; give a .ckpt that `fit` wrote")
    return checkpoint


def hyperparameters_of(model: SpeechModel) -> dict[str, Any]:
    """The constructor arguments that a model was made with."""
    names = inspect.signature(type(model).__init__).parameters
    return {name: value for name, value in model.hparams.items() if name in names}


def initialise(like: Model, seed: int) -> Model:
    """A new model with the class and configuration of `like`, its weights drawn from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(like)(**hyperparameters_of(like))


def load_model(path: Path, like: Model) -> Model:
    """A model with the weights of a Lightning checkpoint.

    Args:
        path: the checkpoint.
        like: a model of the class and configuration that the checkpoint must have.

    Raises:
        InputError: missing, not a checkpoint, would need unsafe unpickling, another family or configuration.
    """
    checkpoint = read_checkpoint(path)
    _check_class(path, checkpoint, like)
    _check_hyperparameters(path, checkpoint["hyper_parameters"], hyperparameters_of(like))
    model = initialise(like, seed=0)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} does not fit the model of the config: {first}") from error
    model.origin = checkpoint.get("lightning_mia", {})
    return model.eval()


def _check_class(path: Path, checkpoint: dict[str, Any], like: SpeechModel) -> None:
    theirs = checkpoint.get("lightning_mia", {}).get("model_class")
    ours = type(like).__name__
    if theirs is not None and theirs != ours:
        raise InputError(f"{path} is a {theirs} checkpoint, but the config asks for {ours}; change --model")


def _check_hyperparameters(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    different = [
        f"{key} is {theirs.get(key)} there, {ours.get(key)} in the config"
        for key in sorted(ours.keys() | (theirs.keys() - LIGHTNING_CLI_KEYS))
        if theirs.get(key) != ours.get(key)
    ]
    if different:
        raise InputError(f"{path} was trained with another model config: {list_first(different, 3)}")
