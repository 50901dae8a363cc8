"""Checkpoints of our own models: safely read, and refused in one line where they do not fit."""

import pickle
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import torch

from lightning_mia.errors import InputError, list_first
from lightning_mia.models.base import SpeechModel
from lightning_mia.training.initialise import hyperparameters_of, initialise

Model = TypeVar("Model", bound=SpeechModel)


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


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a Lightning checkpoint, unpickled safely (`weights_only`).

    Raises:
        InputError: missing, not a checkpoint, or it would need unsafe unpickling.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the .ckpt that `fit` wrote")
    if not path.is_file():
        raise InputError(f"Checkpoint {path} does not exist; run `fit` first or give --target_checkpoint")
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


def _check_class(path: Path, checkpoint: dict[str, Any], like: SpeechModel) -> None:
    theirs = checkpoint.get("lightning_mia", {}).get("model_class")
    ours = type(like).__name__
    if theirs is not None and theirs != ours:
        raise InputError(f"{path} is a {theirs} checkpoint, but the config asks for {ours}; change --model")


def _check_hyperparameters(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    different = [
        f"{key} is {theirs.get(key)} there, {ours.get(key)} in the config"
        for key in sorted(ours.keys() | (theirs.keys() - {"_instantiator", "_class_path"}))
        if theirs.get(key) != ours.get(key)
    ]
    if different:
        raise InputError(f"{path} was trained with another model config: {list_first(different, 3)}")
