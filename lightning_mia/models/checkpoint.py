"""Lightning checkpoints of our models, read without unpickling code."""

import inspect
import pickle
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.construction import build, find_class
from lightning_mia.models.weights import CONTENT_SHA256, check_weights, hash_content
from lightning_mia.utilities.errors import InputError, list_first

Model = TypeVar("Model", bound=SpeechModel)
LIGHTNING_CLI_KEYS = {"_instantiator", "_class_path"}  # added to the hyperparameters by LightningCLI


def model_from_checkpoint(path: Path | str) -> SpeechModel:
    """Load a model of any class and configuration.

    The model is in evaluation mode, on the CPU.

    Args:
        path: Lightning checkpoint of one of our models.

    Raises:
        InputError: the file is missing, not a checkpoint, unsafe to unpickle, or of an unknown or changed class.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    origin = checkpoint.get("lightning_mia", {})
    model_class = _stored_class(path, origin.get("model_class"))
    settings = _check_arguments(path, checkpoint["hyper_parameters"], model_class)
    model = build(partial(model_class, **settings))
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, ValueError) as error:
        last = str(error).splitlines()[-1].strip()
        raise InputError(
            f"The weights of {path} do not fit its hyperparameters; the file is damaged: {last}"
        ) from error
    check_weights(checkpoint["state_dict"], model, str(path))
    model.origin = origin
    return model.eval()


def load_model(path: Path, template: Model) -> Model:
    """Load a model of a known class and configuration.

    The model is in evaluation mode, on the CPU.

    Args:
        path: Lightning checkpoint.
        template: model of the class and configuration that the checkpoint must have.

    Raises:
        InputError: the file is missing, damaged, not a checkpoint, unsafe to unpickle, or of another class or
            configuration.
    """
    return model_of(read_checkpoint(path), path, template)


def model_of(checkpoint: dict[str, Any], path: Path, template: Model) -> Model:
    """Create the model of a checkpoint that was read; see `load_model`."""
    _check_class(path, checkpoint, template)
    _check_hyperparameters(path, checkpoint["hyper_parameters"], constructor_arguments(template))
    model = initialise(template, seed=0)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except (RuntimeError, ValueError) as error:
        last = str(error).splitlines()[-1].strip()
        raise InputError(f"{path} does not fit the model of the config: {last}") from error
    check_weights(checkpoint["state_dict"], model, str(path))
    model.origin = checkpoint.get("lightning_mia", {})
    return model.eval()


def initialise(template: Model, seed: int) -> Model:
    """Create a model of the same configuration.

    Its weights depend on `seed` alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return type(template)(**constructor_arguments(template))


def constructor_arguments(model: SpeechModel) -> dict[str, Any]:
    """Return the constructor arguments of a model."""
    names = inspect.signature(type(model).__init__).parameters
    return {name: value for name, value in model.hparams.items() if name in names}


def find_model_class(name: str) -> type[SpeechModel]:
    """Find a family by the name of its class.

    Raises:
        InputError: no imported module defines it.
    """
    return find_class(name, SpeechModel)  # type: ignore[type-abstract]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint, unpickled safely (`weights_only`).

    Raises:
        InputError: the file is missing, not a checkpoint, damaged, or unsafe to unpickle.
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
    except Exception as error:  # garbage makes the unpickler fail in many ways
        raise InputError(f"{path} is not a checkpoint, or is damaged; give a .ckpt that `fit` wrote") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "hyper_parameters"} <= checkpoint.keys():
        raise InputError(f"{path} is not a Lightning checkpoint with hyperparameters; give a .ckpt that `fit` wrote")
    _check_content(path, checkpoint)
    return checkpoint


def _check_content(path: Path, checkpoint: dict[str, Any]) -> None:
    """Check the types of all parts, and the hash of the content.

    Checkpoints of earlier versions have no hash.
    """
    weights, hyperparameters = checkpoint["state_dict"], checkpoint["hyper_parameters"]
    origin = checkpoint.get("lightning_mia", {})
    problem = ""
    if not (_is_table(weights) and all(isinstance(weight, torch.Tensor) for weight in weights.values())):
        problem = "state_dict is not a table of tensors"
    elif not _is_table(hyperparameters):
        problem = "hyper_parameters is not a table of names and values"
    elif not (_is_table(origin) and all(isinstance(entry, str | None) for entry in origin.values())):
        problem = "lightning_mia is not a table of texts"
    if problem:
        raise InputError(f"{path} cannot be used: {problem}; give a .ckpt that `fit` of lightning-mia wrote")
    expected = checkpoint.pop(CONTENT_SHA256, None)
    if expected not in (None, hash_content(checkpoint)):
        raise InputError(f"{path} is damaged: its content is not what was saved; give another copy of the checkpoint")


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _stored_class(path: Path, name: object) -> type[SpeechModel]:
    if not isinstance(name, str):
        raise InputError(f"{path} does not name the class of its model; give a .ckpt that `fit` of lightning-mia wrote")
    try:
        return find_model_class(name)
    except InputError as error:
        raise InputError(f"{path} cannot be loaded: {error}") from error


def _check_arguments(path: Path, stored: dict[str, Any], model_class: type[SpeechModel]) -> dict[str, Any]:
    arguments = inspect.signature(model_class).parameters
    settings = {name: value for name, value in stored.items() if name not in LIGHTNING_CLI_KEYS}
    unknown = sorted(settings.keys() - arguments.keys())
    required = [name for name, argument in arguments.items() if argument.default is inspect.Parameter.empty]
    missing = [name for name in required if name not in settings]
    if unknown or missing:
        problems = [*(f"{name} is unknown" for name in unknown), *(f"{name} is missing" for name in missing)]
        raise InputError(
            f"{path} was written by another version of {model_class.__name__}: {list_first(problems)}; train it again"
        )
    return settings


def _check_class(path: Path, checkpoint: dict[str, Any], template: SpeechModel) -> None:
    stored = checkpoint.get("lightning_mia", {}).get("model_class")
    expected = type(template).__name__
    if stored is not None and stored != expected:
        raise InputError(f"{path} is a {stored} checkpoint, but the config has {expected}; change --model")


def _check_hyperparameters(path: Path, stored: dict[str, Any], expected: dict[str, Any]) -> None:
    different = [
        f"{key} is {stored.get(key)} in the checkpoint, {expected.get(key)} in the config"
        for key in sorted(expected.keys() | (stored.keys() - LIGHTNING_CLI_KEYS))
        if stored.get(key) != expected.get(key)
    ]
    if different:
        raise InputError(f"{path} was trained with another model config: {list_first(different, 3)}")
