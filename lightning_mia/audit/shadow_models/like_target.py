"""Compare shadow models that were trained elsewhere with the target."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_mia.audit.shadow_models.external_shadow_models import ExternalCheckpoint
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.huggingface.checkpoint_folder import open_checkpoint
from lightning_mia.models.huggingface.hub import read_json
from lightning_mia.models.huggingface.pretrained import PretrainedEncoder
from lightning_mia.models.published.base import PublishedEncoder
from lightning_mia.models.weights import hash_content
from lightning_mia.training.train import Trained
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.progress_bar import tqdm

UNRELATED = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "_attn_implementation_autoset")
"""Entries of a configuration that say nothing about the model."""

REMEDY = "shadow models must be trained exactly like the target, but on their own lists"


def check_like_target(target: Trained, checkpoints: Sequence[ExternalCheckpoint], progress: bool = True) -> None:
    """Load all shadow models, and compare them with the target.

    Args:
        target: the target.
        checkpoints: the shadow models.
        progress: show a progress bar.

    Raises:
        InputError: a shadow model cannot be loaded; it has another architecture, configuration, vocabulary or shape
            than the target; or two models have the same weights.
    """
    expected = describe(target.model)
    weights = {hash_content(target.model.state_dict()): "the target"}
    for checkpoint in tqdm(checkpoints, desc="Checking shadow models", unit="model", disable=not progress):
        model, path = checkpoint.run().model, checkpoint.checkpoint
        if different := differences(describe(model), expected):
            raise InputError(f"{path} differs from the target: {list_first(different, 3)}; {REMEDY}")
        _check_training(path, model, target.model)
        sha256 = hash_content(model.state_dict())
        if sha256 in weights:
            raise InputError(f"{path} has the same weights as {weights[sha256]}; {REMEDY}")
        weights[sha256] = str(path)


def _check_training(path: Path, model: SpeechModel, target: SpeechModel) -> None:
    """Compare the training settings, if both models record them."""
    theirs, ours = model.origin.get("training"), target.origin.get("training")
    if None not in (theirs, ours) and theirs != ours:
        raise InputError(
            f"{path} was trained with other settings than the target (hash {str(theirs)[:12]}, but {str(ours)[:12]}); "
            f"{REMEDY}"
        )


def describe(model: SpeechModel) -> dict[str, Any]:
    """Describe everything but the weights: family, configuration, vocabulary, shapes."""
    described: dict[str, Any] = {"the family": model.family}
    if isinstance(model, PretrainedEncoder):
        settings: Any = model.hparams
        checkpoint = open_checkpoint(settings.checkpoint, settings.revision)
        described |= _entries("config.json", checkpoint.config.to_dict())
        described |= _entries("the preprocessor", checkpoint.preprocessor.to_dict())
        if model.uses_transcripts:
            described["the vocabulary"] = _vocabulary(checkpoint.folder)
    if isinstance(model, PublishedEncoder):
        described |= _entries("the configuration", model.configuration)
    return described | {f"the shape of {name}": tuple(value.shape) for name, value in model.state_dict().items()}


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Say in what a shadow model differs from the target.

    >>> differences({"a": 1, "b": 2}, {"a": 1, "b": 3})
    ['b is 2 instead of 3']
    """
    names = [name for name in dict.fromkeys([*ours, *theirs]) if theirs.get(name) != ours.get(name)]
    return [_difference(name, theirs.get(name), ours.get(name)) for name in names]


def _difference(name: str, theirs: Any, ours: Any) -> str:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        only = [f"{entry!r}" for entry in [*theirs, *ours] if (entry in theirs) != (entry in ours)]
        return f"{name} has {list_first(only)} in one of them alone" if only else f"{name} has other labels"
    return f"{name} is {theirs} instead of {ours}"


def _entries(title: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name} in {title}": value for name, value in settings.items() if name not in UNRELATED}


def _vocabulary(folder: Path) -> dict[str, Any]:
    """Read the labels of a tokenizer; empty if it has another form."""
    if (folder / "vocab.json").is_file():
        return read_json(folder / "vocab.json", "")
    if (folder / "tokenizer.json").is_file():
        return dict(read_json(folder / "tokenizer.json", "").get("model", {}).get("vocab", {}))
    return {}
