"""Nets of published attacks, fitted on units under shadow models and applied to the target."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.classifiers.examples import read_columns, shadow_examples
from lightning_mia.attacks.classifiers.fit import VALIDATION_LOSS, FitSettings, fit_net
from lightning_mia.attacks.classifiers.folds import TrainingFold, training_folds
from lightning_mia.signals.base import SignalGroup

MAX_NETS = 2  # each leaves out other shadow models
WEIGHT_DECAY = 1e-2
FARTHEST = 10.0  # interquartile ranges beyond which a number does not count for more
AT_ONCE = 4096  # units that are scored at one go


class Examples(NamedTuple):
    """Numbers of units under models, and whether they are IN."""

    features: Tensor  # (examples, f) float32
    labels: Tensor  # (examples,) float32, 1 = IN


class PublishedNet(L.LightningModule):
    """A net with one output, the log-odds of IN.

    Args:
        body: (batch, f) → (batch, 1).
        learning_rate: of AdamW.
    """

    def __init__(self, body: nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.body, self.learning_rate = body, learning_rate

    def forward(self, features: Tensor) -> Tensor:
        """(batch, f) → (batch,)."""
        return self.body(features).squeeze(-1)

    def training_step(self, batch: Examples, batch_idx: int) -> Tensor:
        """Return the mean binary cross-entropy."""
        return binary_cross_entropy_with_logits(self(batch.features), batch.labels)

    def validation_step(self, batch: Examples, batch_idx: int) -> None:
        """Log the loss on what was left out."""
        loss = binary_cross_entropy_with_logits(self(batch.features), batch.labels)
        self.log(VALIDATION_LOSS, loss, batch_size=len(batch.labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY)


def layers(*sizes: int) -> nn.Sequential:
    """A stack of linear layers with ReLUs between them.

    >>> [tuple(weight.shape) for weight in layers(45, 256, 1).parameters()]
    [(256, 45), (256,), (1, 256), (1,)]
    """
    parts: list[nn.Module] = []
    for size, following in pairwise(sizes):
        parts += [nn.Linear(size, following), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def score_by_published_net(
    folds: Sequence[TrainingFold], make_body: Callable[[int], nn.Module], fit: FitSettings, seed: int, title: str
) -> np.ndarray:
    """Fit a net on each of a few folds, as long as it gets better on what is left out, and score the target.

    Args:
        folds: of which the first and the last are used: more nets cost more than they tell.
        make_body: makes a net for so many numbers, from torch's global generator.
        fit: of each fit.
        seed: of the weights and of the order of the examples.
        title: of the progress bar.

    Returns:
        (n,) float64, mean log-odds over the nets.
    """
    chosen = np.unique(np.linspace(0, len(folds) - 1, min(MAX_NETS, len(folds))).round().astype(int))
    scores = []
    with torch.random.fork_rng(devices=[]):
        for place in chosen.tolist():
            fold, seeds = folds[place], np.random.SeedSequence([seed, place]).generate_state(3).tolist()
            torch.manual_seed(seeds[0])
            net = PublishedNet(make_body(fold.features.shape[1]), fit.learning_rate)
            fit_net(
                net,
                _Shuffled(_examples(fold.features, fold.labels), fit.batch_size, seeds[1]),
                _Whole(_examples(fold.left_out, fold.left_out_labels)),
                settings=fit,
                seed=seeds[2],
                device=torch.device("cpu"),
                title=title,
            )
            scores.append(_scores(net.eval(), _tensor(fold.target)))
    return np.mean(scores, axis=0)


@torch.no_grad()
def _scores(net: PublishedNet, features: Tensor) -> np.ndarray:
    return torch.cat([net(part).double() for part in features.split(AT_ONCE)]).numpy()


def _tensor(features: np.ndarray) -> Tensor:
    return torch.from_numpy(features).float().clamp(-FARTHEST, FARTHEST)


def _examples(features: np.ndarray, labels: np.ndarray) -> Examples:
    return Examples(_tensor(features), torch.from_numpy(labels).float())


class _Shuffled:
    """Batches in a new order each epoch."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size = examples, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[Examples]:
        features, labels = self.examples
        for rows in torch.randperm(len(labels), generator=self.generator).split(self.batch_size):
            yield Examples(features[rows], labels[rows])


class _Whole:
    """All examples at once."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Examples]:
        yield self.examples


MAX_EXAMPLES = 40_000
USUAL_FIT = FitSettings(learning_rate=1e-3, epochs=30, patience=3, batch_size=256, dropout=0.0)


class PublishedAttack(Attack):
    """A net on the numbers of one group, fitted on units that are IN and OUT for shadow models.

    The numbers are standardised for every model. The published attacks compare no unit with itself under other models;
    `calibrated` offers them that too, see `lightning_mia.attacks.classifiers.folds`.

    Args:
        calibrated: whether numbers are offered also less their mean over other shadow models.
        fit: how the nets are fitted.
    """

    access = "black-box"
    levels = ("utterance", "speaker")
    least_shadows = 2
    learns = True
    stem: ClassVar[str]
    columns: ClassVar[str]  # regular expression of the columns that are read
    one_scale: ClassVar[bool] = False  # whether the columns of a model are standardised together

    def __init__(self, calibrated: bool = False, fit: FitSettings = USUAL_FIT) -> None:
        self.calibrated, self.fit = calibrated, fit

    @property
    def name(self) -> str:
        """The stem, and `_calibrated`."""
        return self.stem + ("_calibrated" if self.calibrated else "")

    @property
    @abstractmethod
    def groups(self) -> tuple[SignalGroup, ...]:
        """The one group that is read."""

    @abstractmethod
    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """A net (batch, n_features) → (batch, 1), from torch's global generator.

        Args:
            n_columns: of the group.
            n_features: as many, or two or three times as many where they are calibrated, one kind after the other.
        """

    def score(self, evidence: Evidence) -> pd.Series:
        """Mean log-odds of every unit over the nets.

        Raises:
            CannotRun: no pair of shadow models, or too few units.
        """
        examples = shadow_examples(evidence, read_columns(self.columns), one_scale=self.one_scale)
        n_columns = len(examples.columns)
        folds = training_folds(
            examples,
            calibrated=self.calibrated,
            most_signals=n_columns,
            most_examples=MAX_EXAMPLES,
            seed=evidence.seed,
        )
        scores = score_by_published_net(
            folds, lambda n_features: self.body(n_columns, n_features), self.fit, evidence.seed, f"Fitting {self.name}"
        )
        return pd.Series(scores, index=examples.units, dtype=float)
