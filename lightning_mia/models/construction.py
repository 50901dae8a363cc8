"""Construct models by the name of their class, without side effects."""

import inspect
from collections.abc import Callable
from contextvars import Context
from typing import TypeVar

import torch

from lightning_mia.utilities.errors import InputError

Built = TypeVar("Built")


def build(constructor: Callable[[], Built]) -> Built:
    """Construct a model inside the constructor of another.

    Random weights come from a fixed seed and leave the caller's random state unchanged. The model keeps its own
    hyperparameters: LightningCLI leaves those of the outer model in a context variable, which `save_hyperparameters`
    would otherwise record for the inner model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Context().run(constructor)


def find_class(name: str, root: type[Built]) -> type[Built]:
    """Find a concrete class by its name.

    Args:
        name: of the class.
        root: class that it inherits from.

    Raises:
        InputError: no imported module defines it.
    """
    known = {family.__name__: family for family in _subclasses(root) if not inspect.isabstract(family)}
    if name not in known:
        raise InputError(f"unknown model class {name}; known: {', '.join(sorted(known))}")
    return known[name]


def _subclasses(parent: type[Built]) -> list[type[Built]]:
    children = parent.__subclasses__()
    return [*children, *(descendant for child in children for descendant in _subclasses(child))]
