"""The learned attack: a classifier on all signals, taught by units that are known to be IN or OUT for shadow models."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Access, Attack, CannotRun, Evidence
from lightning_mia.attacks.classifiers.boosted_trees import TreeSettings, score_by_trees
from lightning_mia.attacks.classifiers.examples import shadow_examples
from lightning_mia.attacks.classifiers.features import ACCESSES, access_of, allows, default_groups, gives, read_features
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.classifiers.folds import TrainingFold, training_folds
from lightning_mia.attacks.classifiers.mlp import NetSettings, score_by_nets
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

MAX_EXAMPLES = 40_000  # more do not help: 16 shadow models give these with 2500 units


class LearnedFromShadows(Attack):
    """What the classifiers have in common; see `ShadowClassifier` and `ShadowClassifierTree`.

    Every unit under every shadow model is an example. Its features are the signals as they are, minus their mean over
    the shadow models that are OUT for the unit, and minus that over those that are IN, the example's own pair left
    out: see `classifiers.folds`. There is a classifier for each left-out pair (with fewer than three
    pairs: for each fifth of the units), and the target's score is the mean of theirs. What is left out decides which
    of the candidate settings is taken and when the fit stops. Each sees the 48 signals that differ most between the IN
    and OUT examples that it learns from, and at most 40,000 examples. With a single pair of shadow models nothing can
    be calibrated.

    Shokri et al. calibrate nothing, and fit a classifier a class. Their fleet, trained on other data than what is
    judged, is one that was trained on a pool: nothing is known of how a judged unit looks when it is IN then.

    Args:
        access: what may be read: "black-box", every signal of the encoder's answers to waveforms; "open-weights", the
            surrogate head behind the encoder's own mask too; "grey-box", all of it and the scores of the training task.
        groups: the groups of signals that are read, as far as the model can answer; null: all that the access allows,
            with their usual settings.
        suffix: stands behind the name, to tell several of one access from each other.
        calibrated: whether signals are compared with those of other shadow models.
    """

    levels: ClassVar[tuple[str, ...]] = ("utterance", "speaker")
    reference = "Shokri et al. (2017), section V"
    least_shadows = 2
    learns = True
    needs_all_groups = False
    stem: ClassVar[str]
    most_signals: ClassVar[int] = 48  # what tells less costs time

    def __init__(self, access: Access, groups: Sequence[SignalGroup] | None, suffix: str, calibrated: bool) -> None:
        for group in groups or ():
            if not allows(access, access_of(group)):
                raise InputError(
                    f"{type(self).__name__} is {access}, but its group {type(group).__name__} asks for "
                    f"{access_of(group)}: give that access, or leave the group out"
                )
        self.access = access
        self.asked = default_groups(access) if groups is None else tuple(groups)
        self.suffix, self.calibrated = suffix, calibrated

    @property
    def name(self) -> str:
        """The stem, the access where it is not grey-box, the suffix, and the variant."""
        access = "" if self.access == ACCESSES[-1] else self.access.replace("-", "_")
        return "_".join(filter(None, (self.stem, access, self.suffix, self.variant)))

    @property
    def variant(self) -> str:
        """What is unusual about the features: `uncalibrated`, or nothing."""
        return "" if self.calibrated else "uncalibrated"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Those that are read."""
        return self.asked

    def score(self, evidence: Evidence) -> pd.Series:
        """Log-odds of every unit, the mean over the classifiers.

        Raises:
            CannotRun: too few shadow models or units, or no signal that takes the attack's access.
        """
        if not gives(evidence.target, self.asked, self.access):
            raise CannotRun(f"it needs signals that take {self.access} access, and this model gave none")
        examples = shadow_examples(evidence, self.read)
        folds = training_folds(
            examples,
            calibrated=self.calibrated,
            most_signals=self.most_signals,
            most_examples=MAX_EXAMPLES,
            seed=evidence.seed,
        )
        return pd.Series(self.classify(folds, evidence.seed), index=examples.units, dtype=np.float64)

    def read(self, signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        """(recordings, d) of one model, of which units get the mean; recordings have `id`, `unit_id`, `speaker`."""
        return read_features(signals, self.asked, self.access).loc[recordings["id"]]

    @abstractmethod
    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Fit on the folds and score the target: (n,) float64."""


class ShadowClassifier(LearnedFromShadows):
    """The learned attack by small nets: a linear part and a hidden layer of 16 ReLUs.

    What is left out chooses between all features, a quarter and a sixteenth of them (the most telling ones by the
    examples), and the epoch. Shokri et al. have 64 ReLUs, for classes and not for signals.

    Args:
        access: see `LearnedFromShadows`.
        groups: see `LearnedFromShadows`.
        suffix: see `LearnedFromShadows`.
        calibrated: see `LearnedFromShadows`.
        net: size of the nets, and the candidates.
        fit: how they are fitted.
    """

    stem = "shadow_classifier"

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = True,
        net: NetSettings = NetSettings(),
        fit: FitSettings = FitSettings(learning_rate=0.03, epochs=40, batch_size=256, dropout=0.0),
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.net, self.fit = net, fit

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """By `score_by_nets`."""
        return score_by_nets(folds, self.net, self.fit, seed, f"Fitting {self.name}")


class ShadowClassifierTree(LearnedFromShadows):
    """The learned attack by gradient-boosted trees: no scales, no straight lines.

    What is left out chooses how many trees of 8 leaves count.

    Args:
        access: see `LearnedFromShadows`.
        groups: see `LearnedFromShadows`.
        suffix: see `LearnedFromShadows`.
        calibrated: see `LearnedFromShadows`.
        trees: how they are boosted, and the candidates.
    """

    stem = "shadow_classifier_tree"

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = True,
        trees: TreeSettings = TreeSettings(),
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.trees = trees

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """By `score_by_trees`."""
        return score_by_trees(folds, self.trees, seed, f"Fitting {self.name}")
