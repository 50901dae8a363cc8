"""Gradient-boosted trees on tables of features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lightning_mia.attacks.classifiers.fit import SECONDS_BEFORE_BAR
from lightning_mia.attacks.classifiers.folds import TrainingFold
from lightning_mia.utilities.progress_bar import tqdm
from lightning_mia.utilities.ranges import Count, PositiveShare, Range, Rate, check_fields


@dataclass(frozen=True)
class TreeSettings:
    """Settings of gradient boosting, and candidates to select from.

    Args:
        leaves: maximum number of leaves per tree, one candidate each.
        most_trees: maximum number of trees; how many are used is selected together with the candidate.
        learning_rate: shrinkage of each tree.
        least_examples: minimum number of examples per leaf.
        tried: fraction of the features, drawn at random, considered at each split.

    Example:
        >>> TreeSettings(leaves=(4, 8))
        TreeSettings(leaves=(4, 8), most_trees=120, learning_rate=0.1, least_examples=20, tried=0.5)
    """

    leaves: tuple[Annotated[int, Range(2, 10_000)], ...] = (8,)
    most_trees: Annotated[int, Range(1, 100_000)] = 120
    learning_rate: Rate = 0.1
    least_examples: Count = 20
    tried: PositiveShare = 0.5

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "trees.")


def score_by_trees(folds: Sequence[TrainingFold], settings: TreeSettings, seed: int, title: str) -> np.ndarray:
    """Boost trees and average log-odds over folds.

    The numbers of trees and leaves are selected by the loss on left-out examples over all folds.

    Args:
        folds: training folds.
        settings: settings of the trees.
        seed: seed of the features considered at each split.
        title: title of the progress bar.

    Returns:
        (n,) float64.
    """
    lowest, scores = np.inf, np.zeros(len(folds[0].target))
    total = len(settings.leaves) * len(folds)
    with tqdm(total=total, desc=title, unit="fit", delay=SECONDS_BEFORE_BAR, leave=False) as bar:
        for leaves in settings.leaves:
            boosters = []
            for fold in folds:
                boosters.append(_Booster(fold, settings, leaves, seed))
                bar.update()
            losses = np.mean([booster.losses for booster in boosters], axis=0)  # (trees,)
            if losses.min() < lowest:
                lowest, n_trees = losses.min(), int(losses.argmin()) + 1
                scores = np.mean([booster.score(n_trees) for booster in boosters], axis=0)
    return scores


class _Booster:
    """Trees of one fold.

    Attributes:
        losses: (trees,) mean binary cross-entropy of the left-out examples with the first 1, 2, … trees.
    """

    def __init__(self, fold: TrainingFold, settings: TreeSettings, leaves: int, seed: int) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        self.trees = HistGradientBoostingClassifier(
            max_iter=settings.most_trees,
            max_leaf_nodes=leaves,
            learning_rate=settings.learning_rate,
            min_samples_leaf=settings.least_examples,
            max_features=settings.tried,
            early_stopping=False,  # it would hold out examples of units that also occur in training
            random_state=seed,
        ).fit(fold.features, fold.labels)
        self.target = fold.target
        signs = np.where(fold.left_out_labels, -1.0, 1.0)
        self.losses = np.array([np.logaddexp(0, signs * logits).mean() for logits in self._stages(fold.left_out)])

    def _stages(self, features: np.ndarray) -> Iterator[np.ndarray]:
        """Yield log-odds by the first 1, 2, … trees, (examples,)."""
        return (stage.ravel() for stage in self.trees.staged_decision_function(features))

    def score(self, n_trees: int) -> np.ndarray:
        """Compute the target's log-odds by the first trees, (n,)."""
        return next(stage for number, stage in enumerate(self._stages(self.target), 1) if number == n_trees)
