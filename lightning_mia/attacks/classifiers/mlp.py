"""Small nets on tables of features: one for every fold and every candidate setting, fitted side by side.

A fold has a few thousand examples of a hundred numbers: a step of one such net is too small to fill even one core, and
dozens of fits would each pay for a Trainer. All of them are one module here, whose weights have the folds and the
candidates as leading dimensions; none sees what another learns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, softplus

from lightning_mia.attacks.classifiers.fit import VALIDATION_LOSS, FitSettings, fit_net
from lightning_mia.attacks.classifiers.folds import TrainingFold, effects

AT_ONCE = 4096  # units that are scored at one go
FARTHEST = 5.0  # standard deviations beyond which a feature does not count for more


@dataclass(frozen=True)
class NetSettings:
    """What the nets look like, and between what the left-out examples choose.

    Args:
        hidden: units of the hidden layer.
        shares: of the features, those that differ most between IN and OUT: one candidate each.
        decay: weight decay per unit of learning rate, as in AdamW.
    """

    hidden: int = 16
    shares: tuple[float, ...] = (1.0, 0.25, 0.0625)
    decay: float = 0.1


class FeatureBatch(NamedTuple):
    """Examples of every fold."""

    features: Tensor  # (folds, batch, f) float32, standardised
    labels: Tensor  # (folds, batch) float32, 1 = IN


class FeatureNets(L.LightningModule):
    """For every fold and candidate a linear part and one hidden layer of ReLUs, added up to one logit.

    Both start at zero: what a feature weighs grows with what it tells.

    Args:
        used: (folds, candidates, f) bool, the features that each net looks at.
        settings: of the nets.
        fit: of the optimizer and the dropout.
    """

    used: Tensor

    def __init__(self, used: Tensor, settings: NetSettings, fit: FitSettings) -> None:
        super().__init__()
        self.decay, self.learning_rate, self.dropout = settings.decay, fit.learning_rate, fit.dropout
        folds, candidates, n_features = used.shape
        # A net's inputs together have the variance 1, so that one learning rate serves all candidates.
        self.register_buffer("used", used / used.sum(dim=-1, keepdim=True).sqrt())
        self.linear = nn.Parameter(torch.zeros(folds, candidates, n_features))
        self.inner = nn.Parameter(torch.randn(folds, candidates, n_features, settings.hidden))
        self.threshold = nn.Parameter(torch.zeros(folds, candidates, settings.hidden))
        self.outer = nn.Parameter(torch.zeros(folds, candidates, settings.hidden))
        self.offset = nn.Parameter(torch.zeros(folds, candidates))

    def forward(self, features: Tensor) -> Tensor:
        """Standardised features (folds, batch, f) → logits (folds, batch, candidates)."""
        folds, candidates, n_features = self.linear.shape
        inner = (self.inner * self.used.unsqueeze(-1)).transpose(1, 2).reshape(folds, n_features, -1)
        hidden = torch.bmm(features, inner).view(folds, -1, candidates, self.inner.shape[-1])
        hidden = dropout(torch.relu(hidden + self.threshold.unsqueeze(1)), self.dropout, self.training)
        curved = (hidden * self.outer.unsqueeze(1)).sum(-1) / self.inner.shape[-1] ** 0.5
        straight = torch.bmm(features, (self.linear * self.used).transpose(1, 2))
        return straight + curved + self.offset.unsqueeze(1)

    def losses(self, batch: FeatureBatch) -> Tensor:
        """Mean binary cross-entropy of every net, (folds, candidates)."""
        logits = self(batch.features)
        return (softplus(logits) - logits * batch.labels.unsqueeze(-1)).mean(dim=1)

    def training_step(self, batch: FeatureBatch, batch_idx: int) -> Tensor:
        """Return the sum over the nets, so that each gets its own gradient."""
        return self.losses(batch).sum()

    def on_train_batch_end(self, outputs: object, batch: FeatureBatch, batch_idx: int) -> None:
        """Decay all weights but those that stand alone."""
        with torch.no_grad():
            for weight in (self.linear, self.inner, self.outer):
                weight.mul_(1 - self.learning_rate * self.decay)

    def validation_step(self, batch: FeatureBatch, batch_idx: int) -> None:
        """Log the loss of the candidate that is best over all folds: its best epoch is the one that stays."""
        self.log(VALIDATION_LOSS, self.losses(batch).mean(dim=0).min())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def score_by_nets(
    folds: Sequence[TrainingFold], settings: NetSettings, fit: FitSettings, seed: int, title: str
) -> np.ndarray:
    """Fit the nets and score the target: the mean logit, over folds, of the candidate that is best where they left out.

    Args:
        folds: of the learned attack.
        settings: of the nets.
        fit: of the fit; its best epoch is chosen together with the candidate, over all folds.
        seed: of the weights, the order of the examples and the dropout.
        title: of the progress bar.

    Returns:
        (n,) float64.
    """
    of_weights, of_order, of_dropout = np.random.SeedSequence(seed).generate_state(3).tolist()
    tables = [_Standardised.of(fold) for fold in folds]
    training = FeatureBatch(torch.stack([one.features for one in tables]), _labels([fold.labels for fold in folds]))
    left_out = FeatureBatch(
        torch.stack([one.left_out for one in tables]), _labels([fold.left_out_labels for fold in folds])
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(of_weights)
        nets = FeatureNets(torch.stack([_strongest(fold, settings.shares) for fold in folds]), settings, fit)
        fit_net(
            nets,
            _Shuffled(training, fit.batch_size, of_order),
            _Whole(left_out),
            settings=fit,
            seed=of_dropout,
            device=torch.device("cpu"),
            title=title,
        )
    nets.eval()
    with torch.no_grad():
        best = int(nets.losses(left_out).mean(dim=0).argmin())
        parts = zip(*(one.target.split(AT_ONCE) for one in tables), strict=True)
        logits = [nets(torch.stack(part))[:, :, best].double().mean(dim=0) for part in parts]
    return torch.cat(logits).numpy()


class _Shuffled:
    """The examples of every fold in a new order each epoch."""

    def __init__(self, examples: FeatureBatch, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size = examples, batch_size
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[FeatureBatch]:
        features, labels = self.examples
        order = torch.stack([torch.randperm(labels.shape[1], generator=self.generator) for _ in labels])
        for rows in order.split(self.batch_size, dim=1):
            fold = torch.arange(len(rows)).unsqueeze(1)
            yield FeatureBatch(features[fold, rows], labels[fold, rows])


class _Whole:
    """All examples at once."""

    def __init__(self, examples: FeatureBatch) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[FeatureBatch]:
        yield self.examples


@dataclass(frozen=True)
class _Standardised:
    """The tables of a fold, by the mean and standard deviation of its examples."""

    features: Tensor
    left_out: Tensor
    target: Tensor

    @staticmethod
    def of(fold: TrainingFold) -> "_Standardised":
        centre, spread = fold.features.mean(axis=0), fold.features.std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        tables = (fold.features, fold.left_out, fold.target)
        return _Standardised(
            *(torch.from_numpy(((one - centre) / scale).clip(-FARTHEST, FARTHEST)).float() for one in tables)
        )


def _labels(labels: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(labels)).float()


def _strongest(fold: TrainingFold, shares: Sequence[float]) -> Tensor:
    """(candidates, f) bool: of the fold's features each share, at least one, that differs most between IN and OUT."""
    effect = effects(fold.features[fold.labels], fold.features[~fold.labels])
    place = np.empty(len(effect), dtype=int)
    place[np.argsort(-effect, kind="stable")] = np.arange(len(effect))
    return torch.from_numpy(np.stack([place < max(1, round(share * len(effect))) for share in shares]))
