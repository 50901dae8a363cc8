"""Weights for a model of the config, refused in one line where they do not fit."""

from pathlib import Path
from typing import Any, TypeVar

from lightning_mia.errors import InputError, list_first
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.from_checkpoint import OF_LIGHTNING, read_checkpoint
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


def _check_class(path: Path, checkpoint: dict[str, Any], like: SpeechModel) -> None:
    theirs = checkpoint.get("lightning_mia", {}).get("model_class")
    ours = type(like).__name__
    if theirs is not None and theirs != ours:
        raise InputError(f"{path} is a {theirs} checkpoint, but the config asks for {ours}; change --model")


def _check_hyperparameters(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    different = [
        f"{key} is {theirs.get(key)} there, {ours.get(key)} in the config"
        for key in sorted(ours.keys() | (theirs.keys() - OF_LIGHTNING))
        if theirs.get(key) != ours.get(key)
    ]
    if different:
        raise InputError(f"{path} was trained with another model config: {list_first(different, 3)}")
