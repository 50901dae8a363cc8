"""Ctrl-C in Lightning, told as what it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L


@contextmanager
def interruptible(trainer: L.Trainer) -> Iterator[None]:
    """Turn the exit by which Lightning ends on Ctrl-C back into a `KeyboardInterrupt`."""
    try:
        yield
    except SystemExit as exit_:
        if trainer.interrupted:
            raise KeyboardInterrupt from exit_
        raise
