"""Cross-fit of each speaker alone, with folds within the speaker."""

from dataclasses import dataclass

import numpy as np

N_OWN_FOLDS = 5
MIN_UNITS = 4
"""Units of a speaker needed to learn its direction."""
OWN_RIDGE = 1.0  # in mean eigenvalues, as in `CrossFit`


@dataclass(frozen=True)
class _Fold:
    """One fold of one speaker: scores are `left @ (right @ targets)`."""

    tested: np.ndarray  # positions of its units
    trained: np.ndarray  # positions of the speaker's other units
    left: np.ndarray  # (tested, r)
    right: np.ndarray | None  # (r, trained); None: the identity

    def scores(self, members: np.ndarray) -> np.ndarray:
        """Fit to labels, (n, R) 0/1, and score the fold, (tested, R)."""
        members = members[self.trained]  # (trained, R)
        n_members = members.sum(axis=0)
        n_nonmembers = len(self.trained) - n_members
        both = (n_members > 0) & (n_nonmembers > 0)
        per_nonmember = both * len(self.trained) / np.maximum(n_nonmembers, 1)
        targets = members * (both * len(self.trained) / np.maximum(n_members, 1) + per_nonmember) - per_nonmember
        return self.left @ (targets if self.right is None else self.right @ targets)


class OwnDirections:
    """Ridge classifier that scores a unit by its speaker's other units.

    Classes have equal weight, as in `CrossFit`. All but the labels is fixed, so that refitting R redraws is one matrix
    product per fold. Scores are 0 for speakers of few units, and where training units have one class only.

    Args:
        features: (n, d) standardised.
        speakers: (n,) str.
    """

    def __init__(self, features: np.ndarray, speakers: np.ndarray) -> None:
        _, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
        units = np.split(np.argsort(speaker, kind="stable"), np.cumsum(counts)[:-1])  # of each speaker
        self._folds = [
            fold
            for own in units
            if len(own) >= MIN_UNITS
            for fold in _folds(features[own] - features[own].mean(axis=0), own)
        ]

    def scores(self, members: np.ndarray) -> np.ndarray:
        """Fit to labels, (n, R) 0/1 float64, and score all units, (n, R)."""
        scores = np.zeros(members.shape)
        for fold in self._folds:
            scores[fold.tested] = fold.scores(members)
        return scores


def _folds(features: np.ndarray, positions: np.ndarray) -> list[_Fold]:
    """Divide one speaker's units into folds, and solve each ridge."""
    number = np.arange(len(positions)) % min(N_OWN_FOLDS, len(positions))
    folds = []
    for fold in np.unique(number):
        tested, trained = features[number == fold], features[number != fold]
        small = len(trained) <= features.shape[1]  # then the Gram matrix of units is smaller than that of features
        gram = trained @ trained.T if small else trained.T @ trained
        ridge = gram + (OWN_RIDGE * np.trace(gram) / max(len(gram), 1) + 1e-12) * np.eye(len(gram))
        left = np.linalg.solve(ridge, trained @ tested.T).T if small else tested
        right = None if small else np.linalg.solve(ridge, trained.T)
        folds.append(_Fold(positions[number == fold], positions[number != fold], left, right))
    return folds
