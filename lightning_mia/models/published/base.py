"""Checkpoints of other toolkits: PyTorch pickles, read without running code."""

import argparse
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lightning_mia.models.base import SpeechModel
from lightning_mia.models.checkpoint import constructor_arguments
from lightning_mia.models.weights import check_weights
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.files import hash_of_file


class PublishedEncoder(SpeechModel):
    """Model from a published checkpoint.

    Its pretext task is available if the file holds the head. The hyperparameters of a subclass include `checkpoint` (a
    file) and `fresh`.

    Attributes:
        head: head of the pretext task; None: the file holds the encoder only.
        configuration: what the file says of input, network and task.
    """

    files: ClassVar[tuple[str, ...]] = ("checkpoint",)
    head: nn.Module | None
    configuration: Mapping[str, Any]

    @property
    def has_pretext(self) -> bool:
        """Whether the checkpoint holds the head of its pretext task."""
        return self.head is not None

    @property
    def can_pretrain(self) -> bool:
        """Whether the checkpoint holds the head of its pretext task."""
        return self.head is not None

    def weights_sha256(self) -> str:
        """Hash the checkpoint; empty with random weights."""
        settings: Any = self.hparams
        return "" if settings.fresh else hash_of_file(settings.checkpoint)

    def untrained(self) -> "PublishedEncoder":
        """Return the same configuration with random weights."""
        return type(self)(**{**constructor_arguments(self), "fresh": True})

    def _require_head(self) -> Any:
        """Return the head.

        Raises:
            InputError: the checkpoint holds the encoder only.
        """
        if self.head is None:
            raise InputError(
                f"{self.hparams['checkpoint']} holds the encoder only, without the head of its pretext task, so that "
                "it has no pretext loss and cannot be trained further; audit it with attacks on the encoder alone"
            )
        return self.head


def read_published(path: str, kind: str, entries: tuple[str, ...], alternative: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Only tensors, plain values and `argparse.Namespace` are unpickled.

    Args:
        path: local file.
        kind: expected model, for messages, such as "CPC".
        entries: required keys.
        alternative: keys that may replace them.

    Raises:
        InputError: the file is missing, not a checkpoint, another kind of checkpoint, or unsafe to unpickle.
    """
    if not Path(path).is_file():
        raise InputError(f"{kind} checkpoint {path} is not a file; download the published one and give its path")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if unsafe := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise InputError(
                f"{path} would need unsafe unpickling of {unsafe[1]}, which could run code: refused; if you trust "
                f"it, save a copy with tensors and plain values only, of its entries {', '.join(entries)}"
            ) from error
        raise InputError(f"{path} is not a PyTorch checkpoint; give the published {kind} checkpoint") from error
    except Exception as error:  # garbage makes the unpickler fail in many ways
        raise InputError(f"{path} is not a PyTorch checkpoint, or is damaged; download it again") from error
    names = set(content) if isinstance(content, dict) else set()
    missing = [name for name in entries if name not in names]
    if missing and not (alternative and names.issuperset(alternative)):
        raise InputError(f"{path} is not a {kind} checkpoint: it lacks {', '.join(missing)}; give the published one")
    return content


def as_mapping(value: object, source: str) -> Mapping[str, Any]:
    """Convert a dictionary or an `argparse.Namespace` to a mapping.

    Args:
        value: entry of a checkpoint.
        source: file and entry, for the message.

    Raises:
        InputError: the value is neither.
    """
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if not isinstance(value, Mapping):
        raise InputError(f"{source} is not a table of names and values; give the published checkpoint")
    return value


def load_published(module: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Load all weights of a module.

    Other weights of the checkpoint are ignored.

    Args:
        module: module with the parameter names of the checkpoint.
        weights: weights by name.
        path: path of the checkpoint, for messages.

    Raises:
        InputError: weights are missing, damaged, or have another shape.
    """
    names = module.state_dict().keys()
    if missing := [name for name in names if name not in weights]:
        raise InputError(f"{path} lacks weights: {list_first(missing)}; give the published checkpoint")
    try:
        module.load_state_dict({name: weights[name] for name in names})
    except RuntimeError as error:
        last = str(error).splitlines()[-1].strip()
        raise InputError(f"The weights of {path} do not fit its configuration; the file is damaged: {last}") from error
    check_weights(weights, module, path)
