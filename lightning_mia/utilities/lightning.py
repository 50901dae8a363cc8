"""What Lightning and PyTorch say that does not hold here, left out."""

import logging
import warnings
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


def quieten() -> None:
    """Leave out what Lightning says of every Trainer (there are several in one audit), and what does not hold here."""
    for name in ("lightning.pytorch", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",  # it holds the stage's description
        ".*custom batch sampler.*",  # every process takes its own share of the batches
        ".*number of training batches.*smaller than the logging interval.*",
        ".*LeafSpec.* is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)
