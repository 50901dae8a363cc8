"""What the published attacks have in common that fit a net on one group of signals under shadow models."""

from abc import abstractmethod
from typing import ClassVar

import pandas as pd
from torch import nn

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.fit_settings import FitSettings
from lightning_mia.attacks.published_net import score_by_published_net
from lightning_mia.attacks.shadow_examples import read_columns, shadow_examples
from lightning_mia.attacks.training_folds import training_folds
from lightning_mia.probe.group import SignalGroup

MOST_EXAMPLES = 40_000
USUAL_FIT = FitSettings(learning_rate=1e-3, epochs=30, patience=3, batch_size=256, dropout=0.0)


class PublishedAttack(Attack):
    """A net on the numbers of one group, fitted on units that are IN and OUT for shadow models.

    The numbers are standardised for every model. The published attacks compare no unit with itself under other models;
    `calibrated` offers them that too, see `lightning_mia.attacks.training_folds`.

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
            most_examples=MOST_EXAMPLES,
            seed=evidence.seed,
        )
        scores = score_by_published_net(
            folds, lambda n_features: self.body(n_columns, n_features), self.fit, evidence.seed, f"Fitting {self.name}"
        )
        return pd.Series(scores, index=examples.units, dtype=float)
