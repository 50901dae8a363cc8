"""Networks of published attacks, fitted on shadow models."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.classifiers.examples import read_columns, shadow_examples
from lightning_mia.attacks.classifiers.fit import (
    MAX_ROWS_AT_ONCE,
    Examples,
    FitSettings,
    ShuffledBatches,
    SingleBatch,
    SmallNet,
    fit_net,
)
from lightning_mia.attacks.classifiers.folds import TrainingFold, training_folds
from lightning_mia.signals.base import SignalGroup

MAX_NETS = 2  # on folds that leave out different shadow models
MAX_DEVIATION = 10.0  # interquartile ranges at which numbers are clipped
WEIGHT_DECAY = 1e-2
DEFAULT_FIT = FitSettings(learning_rate=1e-3, epochs=30, patience=3, batch_size=256, dropout=0.0)


class PublishedAttack(Attack):
    """Base class of attacks by a network on one signal group.

    Score: mean logit of two networks, which are fitted on units that are IN or OUT for shadow models. Signals are
    standardised for each model. The published attacks do not compare a unit with itself under other models;
    `calibrated` adds this comparison (`classifiers.folds`).

    Args:
        calibrated: whether the signals minus their means over other shadow models are added.
        fit: settings of the fit.
    """

    access = "black-box"
    levels = ("utterance", "speaker")
    min_shadows = 2
    cache_scores = True
    columns: ClassVar[str]  # regular expression of the columns to read
    shared_scale: ClassVar[bool] = False  # whether the columns of a model are standardised together

    def __init__(self, calibrated: bool = False, fit: FitSettings = DEFAULT_FIT) -> None:
        self.calibrated, self.fit = calibrated, fit

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`calibrated`, or nothing."""
        return ("calibrated" if self.calibrated else "",)

    @property
    @abstractmethod
    def groups(self) -> tuple[SignalGroup, ...]:
        """The signal group to read."""

    @abstractmethod
    def body(self, n_columns: int, n_features: int) -> nn.Module:
        """Make a network, (batch, n_features) → (batch, 1).

        Weights are drawn from torch's global generator.

        Args:
            n_columns: number of columns of the group.
            n_features: the same number, or a multiple if calibrated: all plain columns, then all calibrated ones.
        """

    def score(self, evidence: Evidence) -> pd.Series:
        """Average the logits of every unit over the networks.

        Raises:
            CannotRun: no pair of shadow models, or too few units.
        """
        examples = shadow_examples(evidence, read_columns(self.columns), shared_scale=self.shared_scale)
        n_columns = len(examples.columns)
        folds = training_folds(
            examples,
            calibrated=self.calibrated,
            max_signals=n_columns,
            seed=evidence.seed,
        )
        scores = score_by_published_net(
            folds, lambda n_features: self.body(n_columns, n_features), self.fit, evidence.seed, f"Fitting {self.name}"
        )
        return pd.Series(scores, index=examples.units, dtype=float)


class PublishedNet(SmallNet):
    """Binary classifier; its output is the log-odds of IN.

    Args:
        body: (batch, f) → (batch, 1).
        learning_rate: learning rate of AdamW.
    """

    def __init__(self, body: nn.Module, learning_rate: float) -> None:
        super().__init__(learning_rate)
        self.body = body

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (batch, f) → (batch,)."""
        return self.body(features).squeeze(-1)

    def loss(self, batch: Examples) -> Tensor:
        """Compute the mean binary cross-entropy."""
        return binary_cross_entropy_with_logits(self(batch.features), batch.labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=WEIGHT_DECAY)


def layers(*sizes: int) -> nn.Sequential:
    """Stack linear layers with ReLUs between them.

    >>> [tuple(weight.shape) for weight in layers(45, 256, 1).parameters()]
    [(256, 45), (256,), (1, 256), (1,)]
    """
    parts: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(sizes):
        parts += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def score_by_published_net(
    folds: Sequence[TrainingFold], make_body: Callable[[int], nn.Module], fit: FitSettings, seed: int, title: str
) -> np.ndarray:
    """Fit networks on two folds and average their logits.

    Uses the first and the last fold; more networks would cost more than they gain.

    Args:
        folds: training folds.
        make_body: creates a network for a number of features, with weights from torch's global generator.
        fit: settings of each fit.
        seed: seed of weights, order of examples and dropout.
        title: title of the progress bar.

    Returns:
        (n,) float64.
    """
    indices = np.unique(np.linspace(0, len(folds) - 1, min(MAX_NETS, len(folds))).round().astype(int))
    scores = []
    for index in indices.tolist():
        fold, seeds = folds[index], np.random.SeedSequence([seed, index]).generate_state(3).tolist()
        net = fit_net(
            partial(_make_net, make_body, fold.features.shape[1], fit.learning_rate),
            ShuffledBatches(_examples(fold.features, fold.labels), fit.batch_size, seeds[1]),
            SingleBatch(_examples(fold.left_out, fold.left_out_labels)),
            settings=fit,
            weight_seed=seeds[0],
            dropout_seed=seeds[2],
            device=torch.device("cpu"),
            title=title,
        )
        with torch.no_grad():
            parts = _clipped(fold.target).split(MAX_ROWS_AT_ONCE)
            scores.append(torch.cat([net(part).double() for part in parts]).numpy())
    return np.mean(scores, axis=0)


def _make_net(make_body: Callable[[int], nn.Module], n_features: int, learning_rate: float) -> PublishedNet:
    return PublishedNet(make_body(n_features), learning_rate)


def _examples(features: np.ndarray, labels: np.ndarray) -> Examples:
    return Examples(_clipped(features), torch.from_numpy(labels).float())


def _clipped(features: np.ndarray) -> Tensor:
    return torch.from_numpy(features).float().clamp(-MAX_DEVIATION, MAX_DEVIATION)
