"""The blind control: what a classifier tells of membership from model-free statistics alone.

Where it does better than chance, members and non-members differ in more than membership, and no attack on
this split shows anything about a model (DESIGN §9). Its p-value comes from redrawing the split and refitting:
folds, features and ridge strength do not depend on the labels, so that observed and redrawn ones are treated
alike. (A plain interval would not do: the refitted AUROC strays a third further than its standard error.)
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.permutation import NullDistribution, p_value
from lightning_mia.evaluation.statistics.roc import aurocs_and_advantages
from lightning_mia.utilities.errors import InputError

N_FOLDS = 10
CHUNK = 4_000_000  # scores held at one go: 32 MB

# Fixed beforehand, on confounds planted in real speech; never tuned to the labels of a split.
RIDGE = 1.0
"""Strength of the ridge, in mean eigenvalues of the training part's Gram matrix."""
CONTRAST = 1.5
"""Power of the class-mean differences, so that one telling statistic is not lost among ninety that tell
nothing: shifted by one standard deviation (100 + 100 units), it lifts the AUROC by 4.4 standard deviations of
its null distribution; at power 1, by 3.0."""


@dataclass(frozen=True, eq=False)
class BlindControl:
    """The blind control of one level, ready to be judged by `lightning_mia.evaluation.evaluate_blind`.

    Attributes:
        scores: of the n units, cross-fitted to the observed labels.
        redrawn_aurocs: (R,) AUROC of the scores that were cross-fitted to each redrawn labelling, by its labels.
        redrawn_advantages: (R,) max(TPR − FPR) of the same.
    """

    scores: Scores
    redrawn_aurocs: np.ndarray
    redrawn_advantages: np.ndarray

    @property
    def aurocs(self) -> np.ndarray:
        """AUROC under the observed labels (first) and under every redrawn labelling, (1 + R,)."""
        own, _ = aurocs_and_advantages(self.scores.values[None], self.scores.members[None])
        return np.append(own, self.redrawn_aurocs)

    @property
    def p_value(self) -> float:
        """One-sided: how often chance does as well."""
        return p_value(NullDistribution(self.aurocs, two_sided=False))


def blind_control(statistics: pd.DataFrame, challenge: pd.DataFrame, redraws: np.ndarray, level: str) -> BlindControl:
    """Fit the blind classifier to the observed labels and to every redrawn labelling.

    Args:
        statistics: from `blind_statistics`; index = recording id.
        challenge: one row a recording that is judged: `id`, `unit_id`, `speaker`, `member` (bool).
        redraws: (R, n) bool, labels redrawn by the split's own mechanism; a column is a unit, in the order of
            `challenge["unit_id"].unique()`.
        level: "utterance" or "speaker"; at speaker level a unit's statistics are means over its recordings.

    Raises:
        InputError: fewer than two speakers.
    """
    units = challenge.drop_duplicates("unit_id")
    speakers = units["speaker"].to_numpy(str)
    members = units["member"].to_numpy(bool)
    fit = CrossFit(standardise(unit_statistics(statistics, challenge).to_numpy(np.float64)), speakers)
    scores = Scores(
        name="blind",
        level=level,
        access="none",
        two_sided=False,
        unit_ids=units["unit_id"].to_numpy(str),
        speakers=speakers,
        members=members,
        values=fit.scores(members),
    )
    rows = max(1, CHUNK // len(members))
    chunks = (redraws[start : start + rows] for start in range(0, len(redraws), rows))
    of_chunks = [aurocs_and_advantages(fit.scores(labels), labels) for labels in chunks]
    aurocs, gains = (np.concatenate(parts) for parts in zip(*of_chunks, strict=True))
    return BlindControl(scores, aurocs, gains)


def unit_statistics(statistics: pd.DataFrame, challenge: pd.DataFrame) -> pd.DataFrame:
    """Mean statistics of every unit, in the order of `challenge`, and how many recordings it has."""
    units = challenge["unit_id"].to_numpy()
    groups = statistics.loc[challenge["id"]].groupby(units, sort=False)
    return groups.mean().assign(n_recordings=groups.size().astype(np.float64))


def standardise(statistics: np.ndarray) -> np.ndarray:
    """Replace each column (units, d) by its ranks, with mean 0 and variance 1; constant columns are dropped.

    Ranks bound what one odd recording can do, and need no choice between dB, seconds and Hz. Labels are not
    looked at, so that redrawn labels are treated alike.
    """
    from scipy.stats import rankdata

    varying = statistics[:, (statistics != statistics[:1]).any(axis=0)]
    ranks = rankdata(varying, axis=0)
    return (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)


def speaker_folds(speakers: np.ndarray) -> np.ndarray:
    """Deal speakers (units,) into at most `N_FOLDS` folds (units,) int, without a look at the labels.

    Each goes to the smallest fold so far, those with most units first, then by name: folds are of like size,
    and where names tell the source, each fold has some of either.

    Raises:
        InputError: fewer than two speakers.

    >>> speaker_folds(np.array(["a", "b", "b", "c"]))
    array([1, 0, 0, 2])
    """
    names, speaker_of_unit, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(f"The blind control needs at least two speakers, got {len(names)}; add speakers")
    fold_of_speaker, sizes = np.empty(len(names), int), np.zeros(N_FOLDS, int)
    for speaker in np.argsort(-counts, kind="stable"):
        fold_of_speaker[speaker] = sizes.argmin()
        sizes[fold_of_speaker[speaker]] += counts[speaker]
    return fold_of_speaker[speaker_of_unit]


class CrossFit:
    """Scores every unit by a ridge classifier that was fitted without its speaker's fold.

    Targets are +1/members and −1/non-members of the training part, so that the sides weigh the same and no
    intercept is needed. Then X'y is the difference of the class means, which is all that depends on the
    labels: refitting R redraws is one matrix product a fold. Each difference is raised to `CONTRAST`, with
    its sign, before the ridge is solved. Where the training part has one side only, nothing can be learnt,
    and the fold's scores are 0.

    Args:
        features: (n, d) standardised.
        speakers: (n,) str.
    """

    def __init__(self, features: np.ndarray, speakers: np.ndarray) -> None:
        folds = speaker_folds(speakers)
        self._places = [np.flatnonzero(folds == fold) for fold in np.unique(folds)]
        self._features = [features[places] for places in self._places]  # of each fold, (n_f, d)
        self._ridges = [_with_ridge(gram) for gram in _of_the_others([X.T @ X for X in self._features])]
        self._sums = _of_the_others([X.sum(axis=0)[:, None] for X in self._features])  # of each training part, (d, 1)

    def scores(self, labels: np.ndarray) -> np.ndarray:
        """Scores of the shape of `labels`, (n,) or (R, n) bool; higher = more likely a member."""
        rows = np.atleast_2d(labels)
        of_folds = [rows[:, places].T.astype(np.float64) for places in self._places]  # each (n_f, R)
        counts = _of_the_others([members.sum(axis=0) for members in of_folds])  # members to learn from, each (R,)
        sums = _of_the_others([X.T @ members for X, members in zip(self._features, of_folds, strict=True)])  # (d, R)
        scores = np.empty(rows.shape)
        for fold, (places, X) in enumerate(zip(self._places, self._features, strict=True)):
            n_members, of_members = counts[fold], sums[fold]
            n_nonmembers = rows.shape[1] - len(places) - n_members
            of_nonmembers = self._sums[fold] - of_members
            difference = of_members / np.maximum(n_members, 1) - of_nonmembers / np.maximum(n_nonmembers, 1)
            difference *= (n_members > 0) & (n_nonmembers > 0)
            contrasted = np.sign(difference) * np.abs(difference) ** CONTRAST
            scores[:, places] = (X @ np.linalg.solve(self._ridges[fold], contrasted)).T
        return scores.reshape(np.shape(labels))


def _of_the_others(of_folds: list[np.ndarray]) -> list[np.ndarray]:
    """For each fold the sum over all others; a total less the fold would know, in its rounding, of the fold."""
    return [np.sum(of_folds[:fold] + of_folds[fold + 1 :], axis=0) for fold in range(len(of_folds))]


def _with_ridge(gram: np.ndarray) -> np.ndarray:
    return gram + RIDGE * np.trace(gram) / max(len(gram), 1) * np.eye(len(gram))
