"""Shadow classifiers: learned attacks on all available signals."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Access, Attack, CannotRun, Evidence
from lightning_mia.attacks.classifiers.boosted_trees import TreeSettings, score_by_trees
from lightning_mia.attacks.classifiers.examples import shadow_examples
from lightning_mia.attacks.classifiers.feature_columns import (
    allows,
    default_groups,
    provides,
    read_features,
    required_access,
)
from lightning_mia.attacks.classifiers.fit import FitSettings
from lightning_mia.attacks.classifiers.folds import TrainingFold, training_folds
from lightning_mia.attacks.classifiers.mlp import NetSettings, score_by_nets
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

DEFAULT_NET = NetSettings()
DEFAULT_FIT = FitSettings(learning_rate=0.03, epochs=40, batch_size=256, dropout=0.0)
DEFAULT_TREES = TreeSettings()


class LearnedFromShadows(Attack):
    """Base class of classifiers fitted on shadow models.

    Score: mean of g(f(x)) over classifiers g, with the features f(x) = (v, v − v̄_out, v − v̄_in) of the signals v and
    their means v̄ over the shadow models that are OUT and IN for the unit.

    Each unit under each shadow model is a training example; the example's own pair of shadow models is excluded from
    both means (`classifiers.folds`). There is one classifier per left-out pair (with fewer than three pairs, per
    left-out fifth of the units). Left-out examples select the candidate setting and stop the fit. Each classifier uses
    the 48 signals that differ most between IN and OUT in its training examples, and at most 40,000 examples. A single
    pair of shadow models permits no calibration.

    Deviations from the paper: Shokri et al. do not calibrate, and fit one classifier per class. Their shadow models are
    trained on other data than the challenge set, like shadow models trained on a pool; challenge units are then never
    seen as IN.

    Args:
        access: signals to use: "black-box", all from encoder outputs; "open-weights", also surrogate heads with the
            encoder's mask; "grey-box", also scores of the training task; "white-box", also relearning.
        groups: signal groups to use, if the model provides them; null: all that the access allows.
        suffix: appended to the name, to distinguish attacks with the same access.
        calibrated: whether signals are also compared with those under other shadow models.
    """

    levels: tuple[str, ...] = ("utterance", "speaker")
    reference = "Shokri et al. (2017), section V"
    min_shadows = 2
    cache_scores = True
    needs_all_groups = False
    max_signals: ClassVar[int] = 48  # less informative ones cost time

    def __init__(self, access: Access, groups: Sequence[SignalGroup] | None, suffix: str, calibrated: bool) -> None:
        for group in groups or ():
            if not allows(access, required_access(group)):
                raise InputError(
                    f"{type(self).__name__} is {access}, but its group {type(group).__name__} requires "
                    f"{required_access(group)}: give that access, or leave the group out"
                )
        self.access = access
        self.asked = default_groups(access) if groups is None else tuple(groups)  # the name is part of cache keys
        self.suffix, self.calibrated = suffix, calibrated

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Access unless grey-box, user-supplied suffix, and `uncalibrated`."""
        access = "" if self.access == "grey-box" else self.access.replace("-", "_")
        return access, self.suffix, "" if self.calibrated else "uncalibrated"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Signal groups to use."""
        return self.asked

    def score(self, evidence: Evidence) -> pd.Series:
        """Score every unit, averaged over the classifiers.

        Raises:
            CannotRun: too few shadow models or units, or no signal that requires the attack's access.
        """
        if not provides(evidence.target, self.asked, self.access):
            raise CannotRun(f"it needs signals that require {self.access} access, and this model has none")
        examples = shadow_examples(evidence, self.read)
        folds = training_folds(
            examples,
            calibrated=self.calibrated,
            max_signals=self.max_signals,
            seed=evidence.seed,
        )
        return pd.Series(self.classify(folds, evidence.seed), index=examples.units, dtype=np.float64)

    def read(self, signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        """Read the features of one model, (recordings, d).

        Args:
            signals: signals of the model.
            recordings: columns `id`, `unit_id`, `speaker`.
        """
        return read_features(signals, self.asked, self.access).loc[recordings["id"]]

    @abstractmethod
    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Fit on the folds and score the target, (n,) float64."""


class ShadowClassifier(LearnedFromShadows):
    """Shadow classifier with small networks.

    Score: logit of a linear part plus a hidden layer of 16 ReLUs on plain and calibrated signals; see
    `LearnedFromShadows`.

    Left-out examples select the epoch and the fraction of the features: all, a quarter or a sixteenth, those that
    differ most between IN and OUT. Shokri et al. use 64 ReLUs, on class probabilities.

    Args:
        access: signals to use: "black-box", all from encoder outputs; "open-weights", also surrogate heads with the
            encoder's mask; "grey-box", also scores of the training task; "white-box", also relearning.
        groups: signal groups to use, if the model provides them; null: all that the access allows.
        suffix: appended to the name, to distinguish attacks with the same access.
        calibrated: whether signals are also compared with those under other shadow models.
        net: size of the networks, and candidates.
        fit: settings of the fit.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(effect=2.0, columns=["pretext_score_mask0", "pretext_score_mask1"])
        >>> audit.auroc(ShadowClassifier().score(audit.evidence)) > 0.8
        True
    """

    base_name = "shadow_classifier"

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = True,
        net: NetSettings = DEFAULT_NET,
        fit: FitSettings = DEFAULT_FIT,
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.net, self.fit = net, fit

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Fit small networks."""
        return score_by_nets(folds, self.net, self.fit, seed, f"Fitting {self.name}")


class ShadowClassifierTree(LearnedFromShadows):
    """Shadow classifier with gradient-boosted trees.

    Score: log-odds of trees of 8 leaves on plain and calibrated signals; see `LearnedFromShadows`.

    Left-out examples select the number of trees.

    Args:
        access: signals to use: "black-box", all from encoder outputs; "open-weights", also surrogate heads with the
            encoder's mask; "grey-box", also scores of the training task; "white-box", also relearning.
        groups: signal groups to use, if the model provides them; null: all that the access allows.
        suffix: appended to the name, to distinguish attacks with the same access.
        calibrated: whether signals are also compared with those under other shadow models.
        trees: settings of the boosting, and candidates.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(effect=2.0, columns=["pretext_score_mask0", "pretext_score_mask1"])
        >>> attack = ShadowClassifierTree(trees=TreeSettings(most_trees=20))
        >>> audit.auroc(attack.score(audit.evidence)) > 0.8
        True
    """

    base_name = "shadow_classifier_tree"

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = True,
        trees: TreeSettings = DEFAULT_TREES,
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.trees = trees

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Fit boosted trees."""
        return score_by_trees(folds, self.trees, seed, f"Fitting {self.name}")
