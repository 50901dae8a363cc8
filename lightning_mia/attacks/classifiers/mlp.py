"""Small networks on tables of features, fitted together.

A fold has a few thousand examples of about a hundred numbers: one training step of such a network does not occupy a
single core, and dozens of fits would each need a Trainer. All networks therefore form one module, whose weights have
folds and candidates as leading dimensions. They share no weights, only the selected epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, softplus

from lightning_mia.attacks.classifiers.fit import (
    MAX_ROWS_AT_ONCE,
    Examples,
    FitSettings,
    ShuffledBatches,
    SingleBatch,
    SmallNet,
    fit_net,
)
from lightning_mia.attacks.classifiers.folds import TrainingFold, effects
from lightning_mia.utilities.ranges import PositiveShare, Weight, Width, check_fields

MAX_DEVIATION = 5.0  # standard deviations at which features are clipped


@dataclass(frozen=True)
class NetSettings:
    """Size of the networks, and candidates to select from.

    Args:
        hidden: units of the hidden layer.
        shares: fractions of the features to use, those that differ most between IN and OUT; one candidate each.
        decay: weight decay per unit of learning rate, as in AdamW.

    Example:
        >>> NetSettings(hidden=64, shares=(1.0,))
        NetSettings(hidden=64, shares=(1.0,), decay=0.1)
    """

    hidden: Width = 16
    shares: tuple[PositiveShare, ...] = (1.0, 0.25, 0.0625)
    decay: Weight = 0.1

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "net.")


class FeatureNets(SmallNet):
    """Networks of all folds and candidates.

    Each is the sum of a linear part and a hidden layer of ReLUs.

    The weights of the linear part and of the output start at zero, so uninformative features have no initial influence.

    Args:
        used: (folds, candidates, f) bool, features of each network.
        settings: settings of the networks.
        fit: settings of optimizer and dropout.
    """

    input_scale: Tensor

    def __init__(self, used: Tensor, settings: NetSettings, fit: FitSettings) -> None:
        super().__init__(fit.learning_rate)
        self.decay, self.dropout = settings.decay, fit.dropout
        folds, candidates, n_features = used.shape
        # 0 for unused features. Scaling the total variance of the inputs to 1 lets one learning rate fit all.
        self.register_buffer("input_scale", used / used.sum(dim=-1, keepdim=True).sqrt())
        self.linear = nn.Parameter(torch.zeros(folds, candidates, n_features))
        self.inner = nn.Parameter(torch.randn(folds, candidates, n_features, settings.hidden))
        self.threshold = nn.Parameter(torch.zeros(folds, candidates, settings.hidden))
        self.outer = nn.Parameter(torch.zeros(folds, candidates, settings.hidden))
        self.offset = nn.Parameter(torch.zeros(folds, candidates))

    def forward(self, features: Tensor) -> Tensor:
        """Compute logits, (folds, batch, f) → (folds, batch, candidates)."""
        folds, candidates, n_features = self.linear.shape
        inner = (self.inner * self.input_scale.unsqueeze(-1)).transpose(1, 2).reshape(folds, n_features, -1)
        hidden = torch.bmm(features, inner).view(folds, -1, candidates, self.inner.shape[-1])
        hidden = dropout(torch.relu(hidden + self.threshold.unsqueeze(1)), self.dropout, self.training)
        nonlinear = (hidden * self.outer.unsqueeze(1)).sum(-1) / self.inner.shape[-1] ** 0.5
        linear = torch.bmm(features, (self.linear * self.input_scale).transpose(1, 2))
        return linear + nonlinear + self.offset.unsqueeze(1)

    def losses(self, batch: Examples) -> Tensor:
        """Compute the mean binary cross-entropy of every network, (folds, candidates)."""
        logits = self(batch.features)
        return (softplus(logits) - logits * batch.labels.unsqueeze(-1)).mean(dim=1)

    def loss(self, batch: Examples) -> Tensor:
        """Sum the losses; the networks' gradients stay separate."""
        return self.losses(batch).sum()

    def validation_loss(self, batch: Examples) -> Tensor:
        """Compute the loss of the best candidate over folds."""
        return self.losses(batch).mean(dim=0).min()

    def on_train_batch_end(self, outputs: object, batch: Examples, batch_idx: int) -> None:
        """Decay all weights except biases."""
        with torch.no_grad():
            for weight in (self.linear, self.inner, self.outer):
                weight.mul_(1 - self.learning_rate * self.decay)


def score_by_nets(
    folds: Sequence[TrainingFold], settings: NetSettings, fit: FitSettings, seed: int, title: str
) -> np.ndarray:
    """Fit networks and average their logits over folds.

    Uses the candidate with the lowest loss on left-out examples over all folds.

    Args:
        folds: training folds.
        settings: settings of the networks.
        fit: settings of the fit; the best epoch is selected together with the candidate, over all folds.
        seed: seed of weights, order of examples and dropout.
        title: title of the progress bar.

    Returns:
        (n,) float64.
    """
    weight_seed, order_seed, dropout_seed = np.random.SeedSequence(seed).generate_state(3).tolist()
    used = torch.stack([_strongest(fold, settings.shares) for fold in folds])
    folds = [_standardised(fold) for fold in folds]
    training = _stack([fold.features for fold in folds], [fold.labels for fold in folds])
    left_out = _stack([fold.left_out for fold in folds], [fold.left_out_labels for fold in folds])
    nets = fit_net(
        lambda: FeatureNets(used, settings, fit),
        ShuffledBatches(training, fit.batch_size, order_seed),
        SingleBatch(left_out),
        settings=fit,
        weight_seed=weight_seed,
        dropout_seed=dropout_seed,
        device=torch.device("cpu"),
        title=title,
    )
    with torch.no_grad():
        best = int(nets.losses(left_out).mean(dim=0).argmin())
        parts = zip(*(torch.from_numpy(fold.target).split(MAX_ROWS_AT_ONCE) for fold in folds), strict=True)
        logits = [nets(torch.stack(part))[:, :, best].double().mean(dim=0) for part in parts]
    return torch.cat(logits).numpy()


def _standardised(fold: TrainingFold) -> TrainingFold:
    """Standardise by the training examples, and clip."""
    centre, deviation = fold.features.mean(axis=0), fold.features.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1)

    def scaled(table: np.ndarray) -> np.ndarray:
        return ((table - centre) / scale).clip(-MAX_DEVIATION, MAX_DEVIATION).astype(np.float32, copy=False)

    return replace(fold, features=scaled(fold.features), left_out=scaled(fold.left_out), target=scaled(fold.target))


def _stack(features: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Examples:
    """Stack the examples of all folds."""
    return Examples(torch.from_numpy(np.stack(features)), torch.from_numpy(np.stack(labels)).float())


def _strongest(fold: TrainingFold, shares: Sequence[float]) -> Tensor:
    """Select the strongest features for each share, (candidates, f) bool.

    These differ most between IN and OUT; at least one is selected.
    """
    effect = effects(fold.features[fold.labels], fold.features[~fold.labels])
    rank = np.empty(len(effect), dtype=int)
    rank[np.argsort(-effect, kind="stable")] = np.arange(len(effect))
    return torch.from_numpy(np.stack([rank < max(1, round(share * len(effect))) for share in shares]))
