"""Content hashes of checkpoints, and checks of their weights."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lightning_mia.utilities.errors import InputError, list_first

CONTENT_SHA256 = "content_sha256"
"""Entry of our checkpoints: hash of all others."""

LARGEST = 1e6
"""Largest weight accepted; trained ones are far smaller, and one flipped bit of an exponent gives 1e30 and more."""


def hash_content(value: Any) -> str:
    """Hash tensors and plain values in any nesting (SHA-256, hex).

    It depends on the content alone, not on how a file stores it: a checkpoint saved twice has one hash.

    >>> hash_content({"a": torch.zeros(2), "b": [1, None]}) == hash_content({"b": [1, None], "a": torch.zeros(2)})
    True
    """
    digest = hashlib.sha256()
    _update(digest, value)
    return digest.hexdigest()


def encoder_sha256(model: nn.Module) -> str:
    """Hash the weights of a model's encoder, without its heads.

    Those of the whole model, if it has neither a module `encoder` nor `network`, as published encoders call it.
    """
    encoder = getattr(model, "encoder", getattr(model, "network", model))
    return hash_content(dict(encoder.named_parameters()))


def _update(digest: "hashlib._Hash", value: Any) -> None:
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        digest.update(f"{{{len(value)}".encode())
        for key in sorted(value, key=repr):
            digest.update(repr(key).encode(errors="surrogatepass"))
            _update(digest, value[key])
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _update(digest, item)
    else:
        digest.update(repr(value).encode(errors="surrogatepass"))


def check_weights(stored: Mapping[str, Tensor], module: nn.Module, source: str) -> None:
    """Refuse weights that no training leaves behind.

    Args:
        stored: weights as stored, by name.
        module: module that they belong to; other names are ignored.
        source: file or name of the checkpoint, for the message.

    Raises:
        InputError: a weight is not a floating-point number, not finite or beyond 10⁶, or a matrix is constant.
    """
    parameters = dict(module.named_parameters(remove_duplicate=False))
    floating = [name for name, value in module.state_dict().items() if value.is_floating_point() and name in stored]
    problems = {name: _problem(stored[name], is_weight=name in parameters) for name in floating}
    if named := [f"{name} {problem}" for name, problem in problems.items() if problem]:
        raise InputError(
            f"The weights of {source} are damaged or were never set: {list_first(named, 3)}; give another copy of the "
            "checkpoint"
        )


def _problem(value: Tensor, is_weight: bool) -> str:
    if not value.is_floating_point():
        return f"is of type {str(value.dtype).removeprefix('torch.')}, not floating point"
    if not value.numel():
        return ""
    smallest, largest = (float(bound) for bound in torch.aminmax(value.float()))
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        return "is not finite"
    if not is_weight:
        return ""
    if max(abs(smallest), abs(largest)) > LARGEST:
        return f"reaches {max(smallest, largest, key=abs):.3g}"
    is_matrix = sum(size > 1 for size in value.shape) > 1
    return f"is {smallest:.3g} throughout" if is_matrix and smallest == largest else ""
