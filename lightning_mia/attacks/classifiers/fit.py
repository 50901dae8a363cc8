"""Fit small networks with early stopping."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, TypeVar

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from torch import Tensor

from lightning_mia.training.callbacks import KeyedRandomness
from lightning_mia.utilities.lightning import interruptible
from lightning_mia.utilities.progress_bar import tqdm
from lightning_mia.utilities.ranges import Count, Dropout, Range, Rate, check_fields

VALIDATION_LOSS = "validation_loss"
SECONDS_BEFORE_BAR = 3.0  # shorter work shows no progress bar
MAX_ROWS_AT_ONCE = 4096  # units scored in one forward pass


@dataclass(frozen=True)
class FitSettings:
    """Settings of a fit.

    Defaults are those of Tseng et al. (2022), section 3.3, and their code.

    With a small model and a small corpus, 80 steps at a learning rate of 1e-5 hardly change the network; 1e-3 trains
    it.

    Args:
        learning_rate: learning rate of Adam, constant.
        epochs: maximum number of epochs (from the paper; its code allows 30).
        patience: epochs without a lower validation loss before the fit stops (5 in the paper's code).
        batch_size: examples per batch: utterances, or pairs of them (32 in the paper's code).
        dropout: dropout probability.
        cache_bytes: memory for frames of the labelled recordings (bytes); the model recomputes others in every epoch.

    Example:
        >>> FitSettings(learning_rate=1e-3, epochs=40)
        FitSettings(learning_rate=0.001, epochs=40, patience=5, batch_size=32, dropout=0.2)
    """

    learning_rate: Rate = 1e-5
    epochs: Count = 20
    patience: Count = 5
    batch_size: Count = 32
    dropout: Dropout = 0.2
    cache_bytes: Annotated[int, Range(0)] = field(default=2**30, repr=False)  # does not affect the scores

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "fit.")


class SmallNet(L.LightningModule, ABC):
    """Network that is fitted by Adam; its batches have `labels`.

    Args:
        learning_rate: constant learning rate.
    """

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Compute the loss of a batch, ()."""

    def validation_loss(self, batch: Any) -> Tensor:
        """Compute the loss that selects the best epoch, ()."""
        return self.loss(batch)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss."""
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the validation loss, averaged over all examples."""
        self.log(VALIDATION_LOSS, self.validation_loss(batch), batch_size=len(batch.labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


class Examples(NamedTuple):
    """Labelled rows of features, for one or several networks."""

    features: Tensor  # (examples, f) or (networks, examples, f) float32
    labels: Tensor  # (examples,) or (networks, examples) float32, 1 = IN


class ShuffledBatches:
    """Batches in a new random order in every epoch.

    Args:
        examples: all examples.
        batch_size: examples per batch and network.
        seed: seed of the order.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size = examples, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[Examples]:
        labels, features = self.examples.labels.flatten(), self.examples.features.flatten(0, -2)
        n = self.examples.labels.shape[-1]  # each network has n of the flattened rows, in its own order
        orders = [torch.randperm(n, generator=self.generator) + start for start in range(0, len(labels), n)]
        rows = torch.stack(orders).view(self.examples.labels.shape)
        for batch in rows.split(self.batch_size, dim=-1):
            yield Examples(features[batch], labels[batch])


class SingleBatch:
    """All examples as one batch.

    Args:
        examples: all examples.
    """

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Examples]:
        yield self.examples


Net = TypeVar("Net", bound=SmallNet)


def fit_net(
    make_net: Callable[[], Net],
    training: Iterable[Any],
    validation: Iterable[Any],
    *,
    settings: FitSettings,
    weight_seed: int,
    dropout_seed: int,
    device: torch.device,
    title: str,
) -> Net:
    """Fit a network and return it in eval mode.

    It has the weights of the epoch with the lowest validation loss.

    Args:
        make_net: creates the network, with initial weights from torch's global generator.
        training: an iteration yields the batches of an epoch; not a list, which Lightning interprets as several
            loaders.
        validation: batches of the validation loss.
        settings: settings of the fit.
        weight_seed: seed of the initial weights.
        dropout_seed: seed of the dropout.
        device: device of the batches.
        title: title of the progress bar.
    """
    on_gpu = device.type == "cuda"
    with preserved_randomness(), _quiet():
        torch.manual_seed(weight_seed)
        net = make_net()
        trainer = L.Trainer(
            accelerator="cuda" if on_gpu else "cpu",
            devices=[device.index or 0] if on_gpu else 1,
            plugins=[LightningEnvironment()],  # not distributed, even in a distributed run
            max_epochs=settings.epochs,
            callbacks=[BestWeights(settings.patience), EpochBar(title), KeyedRandomness(dropout_seed)],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        with interruptible(trainer):
            trainer.fit(net, training, validation)
    return net.eval()


class BestWeights(L.Callback):
    """Early stopping that restores the weights of the best epoch.

    Args:
        patience: epochs without a lower validation loss before the training stops.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.waited = patience, 0
        self.lowest = float("inf")
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the weights of a new best epoch."""
        loss = float(trainer.callback_metrics[VALIDATION_LOSS])
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        else:
            self.waited += 1
            trainer.should_stop = self.waited >= self.patience

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the best weights, if any loss was finite."""
        if self.weights:
            pl_module.load_state_dict(self.weights)


class EpochBar(L.Callback):
    """Progress bar over epochs, shown after a few seconds.

    Args:
        title: title of the bar.
    """

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar."""
        self.bar = tqdm(total=trainer.max_epochs, desc=self.title, unit="epoch", delay=SECONDS_BEFORE_BAR, leave=False)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Advance the bar."""
        self.bar.update()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Restore the state of torch's global generators on exit."""
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=gpus):
        yield


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's log messages and warnings."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
