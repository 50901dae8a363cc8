"""Fit a small net with Lightning, quietly and in memory, until its validation loss stops falling."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from tqdm import tqdm

from lightning_mia.training.callbacks import KeyedRandomness
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.lightning import interruptible


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit; the defaults are those of Tseng et al. (2022), section 3.3, and of their code.

    A small model's frames have few numbers and a small corpus gives few steps: 80 steps of 1e-5 leave such a net
    almost as it was drawn. A rate of 1e-3 really trains it.

    Args:
        learning_rate: of Adam, constant.
        epochs: at most (the paper's number; its code allows 30).
        patience: epochs without a new least validation loss after which the fit stops (5 in the paper's code).
        batch_size: examples in a batch: utterances, or pairs of them (32 in the paper's code).
        dropout: probability.
        cache_bytes: frames of the labelled recordings that are kept in memory (bytes); for others the model is
            asked again in every epoch.
    """

    learning_rate: float = 1e-5
    epochs: int = 20
    patience: int = 5
    batch_size: int = 32
    dropout: float = 0.2
    cache_bytes: int = field(default=2**30, repr=False)  # no part of what the scores depend on

    def __post_init__(self) -> None:
        """Refuse what no net can be fitted with."""
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"fit.{name} of an attack is {getattr(self, name)}: give 1 or more")
        if self.learning_rate <= 0:
            raise InputError(f"fit.learning_rate of an attack is {self.learning_rate:g}: give a positive number")
        if not 0 <= self.dropout < 1:
            raise InputError(f"fit.dropout of an attack is {self.dropout:g}: give 0 or more and less than 1")


class BestWeights(L.Callback):
    """Stops where the validation loss no longer falls, and brings the best weights back.

    Args:
        patience: epochs without a new least validation loss after which the training stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.waited = patience, 0
        self.least = float("inf")
        self.weights: dict[str, torch.Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        loss = float(trainer.callback_metrics[VALIDATION_LOSS])
        if loss < self.least:
            self.least, self.waited = loss, 0
            self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        else:
            self.waited += 1
            trainer.should_stop = self.waited >= self.patience

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring them back; a loss that was never a number has no best ones."""
        if self.weights:
            pl_module.load_state_dict(self.weights)


class EpochBar(L.Callback):
    """A progress bar over the epochs, where they take more than a few seconds.

    Args:
        title: what is being fitted.
    """

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar."""
        self.bar = tqdm(total=trainer.max_epochs, desc=self.title, unit="epoch", delay=SECONDS_BEFORE_BAR, leave=False)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Move it."""
        self.bar.update()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close it."""
        self.bar.close()


def fit_net(
    net: L.LightningModule,
    training: Iterable[Any],
    validation: Iterable[Any],
    *,
    settings: FitSettings,
    seed: int,
    device: torch.device,
    title: str,
) -> None:
    """Fit a net in place, on one device; the best weights by validation loss are left in it.

    Sets torch's global generators: whoever calls this gives them back their state.

    Args:
        net: with its first weights; logs `VALIDATION_LOSS`.
        training: an iteration gives the batches of an epoch; no list, which Lightning takes for several loaders.
        validation: the same, to validate on.
        settings: of the fit.
        seed: of the dropout.
        device: of the frames.
        title: of the progress bar.
    """
    on_gpu = device.type == "cuda"
    with _quiet():
        trainer = L.Trainer(
            accelerator="cuda" if on_gpu else "cpu",
            devices=[device.index or 0] if on_gpu else 1,
            plugins=[LightningEnvironment()],  # alone, also in one process of many
            max_epochs=settings.epochs,
            callbacks=[BestWeights(settings.patience), EpochBar(title), KeyedRandomness(seed)],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with interruptible(trainer):
            trainer.fit(net, training, validation)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what Lightning says of every Trainer."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


SECONDS_BEFORE_BAR = 3.0  # what takes no longer shows no progress bar


VALIDATION_LOSS = "validation_loss"
