"""Linear probe of mean-pooled hidden states.

Layer and regularisation strength are chosen within each training fold (nested cross-validation, Cawley and Talbot, JMLR
11, 2010): choosing them on the test folds would give accuracies above chance on pure noise.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FOLDS, INNER_FOLDS = 5, 3

STRENGTHS = (0.1, 0.01, 1.0, 10.0)
"""Values of scikit-learn's C, the inverse strength of the L2 penalty; layers are compared at the first."""


@dataclass(frozen=True)
class Probed:
    """Cross-validated predictions of a probe.

    Attributes:
        hits: (n,) bool, whether the prediction for each recording, when in the test fold, is correct.
        layers: layer chosen in each fold.
    """

    hits: np.ndarray
    layers: tuple[int, ...]


def linear_probe(pooled: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int) -> Probed:
    """Cross-validate multinomial logistic regression on standardised features.

    Args:
        pooled: (n, layers, dim) float, mean-pooled hidden states.
        labels: (n,) str, labels to predict.
        groups: (n,) str, groups that each stay within one fold, such as speakers; None: no groups.
        seed: seed of the folds.
    """
    hits, layers = np.zeros(len(labels), dtype=bool), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label occurs in fewer groups than inner folds
        for train, test in _folds(labels, groups, FOLDS, seed):
            layer, strength = _choose(pooled[train], labels[train], None if groups is None else groups[train], seed)
            model = _classifier(strength).fit(pooled[train, layer], labels[train])
            hits[test] = model.predict(pooled[test, layer]) == labels[test]
            layers.append(layer)
    return Probed(hits, tuple(layers))


def _folds(
    labels: np.ndarray, groups: np.ndarray | None, n_folds: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield training and test rows of every fold."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    yield from kind(n_folds, shuffle=True, random_state=seed).split(labels, labels, groups)


def _choose(pooled: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, seed: int) -> tuple[int, float]:
    """Choose the layer, then the strength, by inner folds.

    Ties go to the first.
    """
    folds = list(_folds(labels, groups, INNER_FOLDS, seed))

    def accuracy(layer: int, strength: float) -> float:
        features = pooled[:, layer]
        return float(
            np.mean([_classifier(strength).fit(features[a], labels[a]).score(features[b], labels[b]) for a, b in folds])
        )

    layer = max(range(pooled.shape[1]), key=lambda candidate: accuracy(candidate, STRENGTHS[0]))
    return layer, max(STRENGTHS, key=lambda strength: accuracy(layer, strength))


def _classifier(strength: float) -> "Pipeline":
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, tol=1e-3))
