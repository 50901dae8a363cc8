"""What Lightning and PyTorch say that does not hold here, left out."""

import logging
import warnings


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
