"""Audio Auditor: random forests on statistics over a user's recordings."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.attacks.classifiers.feature_columns import read_features
from lightning_mia.attacks.classifiers.folds import TrainingFold
from lightning_mia.attacks.shadow_classifier import LearnedFromShadows
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.ranges import Range, check_ranges

MAX_EXAMPLES_PER_TREE = 2000
STATISTICS = ("sum", "max", "min", "mean", "median", "std", "var")


class UserStatistics(LearnedFromShadows):
    """User-level audit of Miao et al.

    Score: share of trees that vote IN, in random forests on the sum, maximum, minimum, mean, median, standard deviation
    and variance of every signal over a speaker's recordings.

    The forests are fitted on speakers that are IN or OUT for shadow models, one for each left-out pair of shadow
    models (with fewer than three pairs, each left-out fifth of the speakers); their votes are averaged.

    Deviations from the paper, whose signals are those of a speech recogniser (distance to the true text, confidence,
    length and rate of the recording) and whose shadow models are trained on other speakers: here the signals are those
    that the access allows, and none depends on the recording alone.

    Args:
        access: signals to use: "black-box", "open-weights" or "grey-box".
        groups: signal groups to use, if the model provides them; null: all that the access allows.
        suffix: appended to the name, to distinguish attacks with the same access.
        calibrated: whether statistics are also compared with those under other shadow models, unlike in the paper.
        n_trees: number of trees over all forests, each grown on at most 2000 examples, drawn with replacement.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> audit = simulate_audit(n_units=40, level="speaker", clips=3, effect=2.0, spread=0.5)
        >>> audit.auroc(UserStatistics(n_trees=20).score(audit.evidence)) > 0.8
        True
    """

    base_name = "user_statistics"
    levels = ("speaker",)
    reference = "Miao et al. (2021), section 4"
    max_signals = 48 * len(STATISTICS)

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = False,
        n_trees: Annotated[int, Range(1, 100_000)] = 400,
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.n_trees = n_trees
        check_ranges(UserStatistics.__init__, vars(self), f"{type(self).__name__}.")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Access, user-supplied suffix, and `calibrated`."""
        access, suffix, _ = super().suffixes
        return access, suffix, "calibrated" if self.calibrated else ""

    def read(self, signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        """Compute the statistics of every recording's speaker."""
        features = read_features(signals, self.asked, self.access).loc[recordings["id"]]
        return user_statistics(features, recordings["unit_id"].to_numpy())

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Average the votes of the forests, (n,) float64."""
        from sklearn.ensemble import RandomForestClassifier

        votes = []
        for fold in folds:
            forest = RandomForestClassifier(
                n_estimators=-(-self.n_trees // len(folds)),
                max_samples=min(MAX_EXAMPLES_PER_TREE, len(fold.labels)),
                random_state=seed,
            ).fit(fold.features, fold.labels)
            votes.append(forest.predict_proba(fold.target)[:, list(forest.classes_).index(True)])
        return np.mean(votes, axis=0)


def user_statistics(features: pd.DataFrame, users: np.ndarray) -> pd.DataFrame:
    """Compute statistics of every column by user.

    Each of a user's rows gets the user's statistics.

    Args:
        features: (recordings, d).
        users: (recordings,) names.

    Returns:
        (recordings, 7 × d) float64, columns `mean_<column>` and so on; `std` and `var` of a single row are 0.

    >>> user_statistics(pd.DataFrame({"x": [1.0, 3.0, 5.0]}), np.array(["a", "a", "b"]))["mean_x"].tolist()
    [2.0, 2.0, 5.0]
    """
    codes, _ = pd.factorize(users)
    grouped = features.astype(np.float64).groupby(codes)
    spread = {"std": grouped.std(ddof=0), "var": grouped.var(ddof=0)}
    tables = {name: spread[name] if name in spread else grouped.agg(name) for name in STATISTICS}
    by_user = pd.concat([table.add_prefix(f"{name}_") for name, table in tables.items()], axis=1)
    return by_user.iloc[codes].set_axis(features.index)
