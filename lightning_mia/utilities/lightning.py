"""Lightning's handling of Ctrl-C and its warnings, adapted to audits."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning as L
from lightning.pytorch.utilities import rank_zero_only

LOGGERS = ("lightning.pytorch", "lightning.fabric.utilities.seed")
"""They announce devices and advertise other products; warnings are still shown."""


def is_first_process() -> bool:
    """Whether this process attacks and writes; the others only train and probe."""
    return not getattr(rank_zero_only, "rank", 0)


@contextmanager
def interruptible(trainer: L.Trainer) -> Iterator[None]:
    """Re-raise Lightning's exit on Ctrl-C as `KeyboardInterrupt`."""
    try:
        yield
    except SystemExit as exit_:
        if trainer.interrupted:
            raise KeyboardInterrupt from exit_
        raise


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning as `quieten` does, and restore its messages afterwards."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        quieten()
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def quieten() -> None:
    """Silence messages of Lightning and its loggers that do not apply to audits."""
    os.environ.setdefault("WANDB_QUIET", "true")  # otherwise 20 lines for each run
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",  # it holds stage.json
        ".*custom batch sampler.*",  # our batch sampler already shards
        ".*number of training batches.*smaller than the logging interval.*",
        ".*LeafSpec.* is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message)
