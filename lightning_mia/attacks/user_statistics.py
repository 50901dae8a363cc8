"""The Audio Auditor: statistics over a user's recordings, and a random forest that learned on shadow models."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.attacks.classifiers.features import read_features
from lightning_mia.attacks.classifiers.folds import TrainingFold
from lightning_mia.attacks.shadow_classifier import LearnedFromShadows
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals

MAX_EXAMPLES_OF_A_TREE = 2000
STATISTICS = ("sum", "max", "min", "mean", "median", "std", "var")


class UserStatistics(LearnedFromShadows):
    """Sum, maximum, minimum, mean, median, standard deviation and variance of every signal over a speaker's recordings.

    A random forest learns from the speakers under shadow models, each IN or OUT. The paper's signals are those of a
    speech recogniser (how far its text is from the truth, its confidence, the recording's length and rate), and its
    shadow models are trained on other speakers: here the signals are what the access allows, none of which is the
    recording's alone. There is one forest for each pair of shadow models that is left out (with fewer than three pairs:
    for each fifth of the speakers), and the score is the mean over them.

    Args:
        access: see `LearnedFromShadows`.
        groups: see `LearnedFromShadows`.
        suffix: see `LearnedFromShadows`.
        calibrated: whether statistics are compared with those of other shadow models too, which the paper does not.
        n_trees: trees of all forests together, each grown on at most 2000 examples, drawn with replacement.
    """

    levels = ("speaker",)
    reference = "Miao et al. (2021), section 4"
    stem = "user_statistics"
    most_signals = 48 * len(STATISTICS)

    def __init__(
        self,
        access: Access = "grey-box",
        groups: Sequence[SignalGroup] | None = None,
        suffix: str = "",
        calibrated: bool = False,
        n_trees: int = 400,
    ) -> None:
        super().__init__(access, groups, suffix, calibrated)
        self.n_trees = n_trees

    @property
    def variant(self) -> str:
        """`calibrated`, or nothing."""
        return "calibrated" if self.calibrated else ""

    def read(self, signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        """The statistics of every recording's speaker."""
        features = read_features(signals, self.asked, self.access).loc[recordings["id"]]
        return of_users(features, recordings["unit_id"].to_numpy())

    def classify(self, folds: Sequence[TrainingFold], seed: int) -> np.ndarray:
        """Mean over the forests of the share of trees' votes for IN: (n,) float64."""
        from sklearn.ensemble import RandomForestClassifier

        votes = []
        for fold in folds:
            forest = RandomForestClassifier(
                n_estimators=-(-self.n_trees // len(folds)),
                max_samples=min(MAX_EXAMPLES_OF_A_TREE, len(fold.labels)),
                random_state=seed,
            ).fit(fold.features, fold.labels)
            votes.append(forest.predict_proba(fold.target)[:, list(forest.classes_).index(True)])
        return np.mean(votes, axis=0)


def of_users(features: pd.DataFrame, users: np.ndarray) -> pd.DataFrame:
    """Statistics of every column over each user's rows, which all of the user's rows get.

    Args:
        features: (recordings, d).
        users: (recordings,) names.

    Returns:
        (recordings, 7 × d) float64, columns named `mean_<column>` and so on; of a single row `std` and `var` are 0.

    >>> of_users(pd.DataFrame({"x": [1.0, 3.0, 5.0]}), np.array(["a", "a", "b"]))["mean_x"].tolist()
    [2.0, 2.0, 5.0]
    """
    place, _ = pd.factorize(users)
    grouped = features.astype(np.float64).groupby(place)
    spread = {"std": grouped.std(ddof=0), "var": grouped.var(ddof=0)}
    tables = {name: spread[name] if name in spread else grouped.agg(name) for name in STATISTICS}
    by_user = pd.concat([table.add_prefix(f"{name}_") for name, table in tables.items()], axis=1)
    return by_user.iloc[place].set_axis(features.index)
