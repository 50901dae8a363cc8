"""Ridge classifier that scores every unit without its speaker's fold."""

from itertools import accumulate

import numpy as np

from lightning_mia.utilities.errors import InputError

N_FOLDS = 10
# Chosen in advance, on confounds planted in real speech; never tuned to the labels of a split.
RIDGE = 1.0
"""Ridge strength, in mean eigenvalues of the training part's Gram matrix."""
CONTRAST = 1.5
"""Exponent of the class-mean differences, so that one informative statistic among ninety is not masked by the others:
shifted by one standard deviation (100 + 100 units), it raises the AUROC by 4.4 standard deviations of its null
distribution; with exponent 1, by 3.0."""


def speaker_folds(speakers: np.ndarray) -> np.ndarray:
    """Assign speakers to at most `N_FOLDS` folds, (units,) int.

    Speakers, by descending number of units and then by name, go to the smallest fold: folds have similar sizes, and if
    names reveal the source, each fold has speakers of every source.

    Raises:
        InputError: fewer than two speakers.

    >>> speaker_folds(np.array(["a", "b", "b", "c"]))
    array([1, 0, 0, 2])
    """
    names, speaker_numbers, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(f"The blind baseline needs at least two speakers, got {len(names)}; add speakers")
    folds, sizes = np.empty(len(names), int), np.zeros(N_FOLDS, int)
    for speaker in np.argsort(-counts, kind="stable"):
        folds[speaker] = sizes.argmin()
        sizes[folds[speaker]] += counts[speaker]
    return folds[speaker_numbers]


class CrossFit:
    """Ridge classifier that scores every unit without its speaker's fold.

    Targets are +1/members and −1/non-members of the training part, so that both classes have equal weight and no
    intercept is needed. Then X'y is the difference of the class means, and only it depends on the labels: refitting R
    redraws is one matrix product per fold. Each difference is raised to the power `CONTRAST`, keeping its sign, before
    the ridge is solved. If the training part has one class only, the fold's scores are 0.

    Args:
        features: (n, d) standardised.
        speakers: (n,) str.
    """

    def __init__(self, features: np.ndarray, speakers: np.ndarray) -> None:
        folds = speaker_folds(speakers)
        self._positions = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        self._features = [features[positions] for positions in self._positions]  # of each fold, (n_f, d)
        ridges = [_with_ridge(gram) for gram in _sums_over_others([X.T @ X for X in self._features])]
        # Solved for the tested features instead of each redraw's differences: rows of X (X'X + ridge)⁻¹.
        self._solved = [np.linalg.solve(ridge, X.T).T for ridge, X in zip(ridges, self._features, strict=True)]
        self._sums = _sums_over_others([X.sum(axis=0)[:, None] for X in self._features])  # of training parts, (d, 1)

    def scores(self, members: np.ndarray) -> np.ndarray:
        """Fit to labels, (n, R) 0/1 float64, and score all units, (n, R)."""
        folds = [members[positions] for positions in self._positions]  # of each fold, (n_f, R)
        counts = _sums_over_others([fold.sum(axis=0) for fold in folds])  # members of each training part, (R,)
        sums = _sums_over_others([X.T @ fold for X, fold in zip(self._features, folds, strict=True)])  # (d, R)
        scores = np.empty(members.shape)
        for fold, (positions, solved) in enumerate(zip(self._positions, self._solved, strict=True)):
            n_members, member_sums = counts[fold], sums[fold]
            n_nonmembers = len(members) - len(positions) - n_members
            nonmember_sums = self._sums[fold] - member_sums
            difference = member_sums / np.maximum(n_members, 1) - nonmember_sums / np.maximum(n_nonmembers, 1)
            difference *= (n_members > 0) & (n_nonmembers > 0)
            scores[positions] = solved @ (difference * np.abs(difference) ** (CONTRAST - 1))
        return scores


def _sums_over_others(folds: list[np.ndarray]) -> list[np.ndarray]:
    """Sum over all other folds.

    The total minus the fold would depend on the fold by rounding.
    """
    zero = np.zeros_like(folds[0])
    before = list(accumulate(folds[:-1], initial=zero))
    after = list(accumulate(folds[:0:-1], initial=zero))[::-1]
    return [first + last for first, last in zip(before, after, strict=True)]


def _with_ridge(gram: np.ndarray) -> np.ndarray:
    return gram + RIDGE * np.trace(gram) / max(len(gram), 1) * np.eye(len(gram))
