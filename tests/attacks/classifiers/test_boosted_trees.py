import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from lightning_mia.attacks.classifiers.boosted_trees import TreeSettings, score_by_trees
from lightning_mia.attacks.classifiers.folds import TrainingFold
from lightning_mia.evaluation.statistics.auroc import labelled_aurocs

SETTINGS = TreeSettings(leaves=(3, 8), most_trees=10, tried=1.0)


def fold(seed: int, effect: float = 1.5) -> tuple[TrainingFold, np.ndarray]:
    """Draw members with a large product of the first two features, and 8 uninformative ones."""
    rng = np.random.default_rng(seed)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        features = rng.standard_normal((n, 10)).astype(np.float32)
        labels = effect * features[:, 0] * features[:, 1] + rng.standard_normal(n) > 0
        return features, labels

    (features, labels), (left_out, left_out_labels), (target, members) = draw(800), draw(200), draw(500)
    return TrainingFold(features, labels, left_out, left_out_labels, target), members


def slow_scores(folds: list[TrainingFold]) -> np.ndarray:
    """Fit every candidate with every number of trees from scratch."""
    lowest, scores = np.inf, np.zeros(0)
    for leaves in SETTINGS.leaves:
        for n_trees in range(1, SETTINGS.most_trees + 1):
            losses, logits = [], []
            for fold in folds:
                trees = HistGradientBoostingClassifier(
                    max_iter=n_trees,
                    max_leaf_nodes=leaves,
                    learning_rate=0.1,
                    min_samples_leaf=20,
                    early_stopping=False,
                    random_state=0,
                ).fit(fold.features, fold.labels)
                p = trees.predict_proba(fold.left_out)[np.arange(len(fold.left_out)), fold.left_out_labels.astype(int)]
                losses.append(-np.log(p).mean())
                logits.append(trees.decision_function(fold.target))
            if np.mean(losses) < lowest:
                lowest, scores = np.mean(losses), np.mean(logits, axis=0)
    return scores


@pytest.mark.slow
def test_left_out_examples_select_leaves_and_trees() -> None:
    folds = [fold(0)[0], fold(1)[0]]
    np.testing.assert_allclose(score_by_trees(folds, SETTINGS, 0, "Fitting"), slow_scores(folds), rtol=1e-6)


def test_trees_learn_an_interaction() -> None:
    planted, members = fold(2)
    scores = score_by_trees([planted], TreeSettings(), 0, "Fitting")
    assert labelled_aurocs(scores, members[None])[0] > 0.75
    assert scores.dtype == np.float64


def test_few_trees_on_noise() -> None:
    planted, _ = fold(3, effect=0.0)
    scores = score_by_trees([planted], TreeSettings(leaves=(8,)), 0, "Fitting")
    assert scores.std() < 0.3 * planted.target[:, 0].std()


@pytest.mark.parametrize("seed", [0, 1])
def test_seed_determines_scores(seed: int) -> None:
    planted, _ = fold(4)
    once, again = (score_by_trees([planted], TreeSettings(leaves=(4,)), seed, "Fitting") for _ in range(2))
    np.testing.assert_array_equal(once, again)
