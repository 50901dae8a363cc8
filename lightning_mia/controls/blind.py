"""The blind control: what a classifier tells of membership from model-free statistics alone.

Where it does better than chance, members and non-members differ in more than membership, and no attack on
this split shows anything about a model (DESIGN §9). Its p-value comes from redrawing the split and refitting:
folds, features and ridge strength do not depend on the labels, so that observed and redrawn ones are treated
alike. (A plain interval would not do: the refitted AUROC strays a third further than its standard error.)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lightning_mia.errors import InputError
from lightning_mia.evaluation.auroc import auroc_of_rows
from lightning_mia.evaluation.permutation import NullDistribution, p_value
from lightning_mia.evaluation.scores import Scores

N_FOLDS = 10

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
        redrawn_values: (R, n) float64, cross-fitted to each redrawn labelling.
        redrawn_labels: (R, n) bool, those labellings.
    """

    scores: Scores
    redrawn_values: np.ndarray
    redrawn_labels: np.ndarray

    @cached_property
    def aurocs(self) -> np.ndarray:
        """AUROC under the observed labels (first) and under every redrawn labelling, (1 + R,)."""
        values = np.vstack([self.scores.values, self.redrawn_values])
        return auroc_of_rows(values, np.vstack([self.scores.members, self.redrawn_labels]))

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
    labels = np.vstack([units["member"].to_numpy(bool), redraws])  # (1 + R, n)
    features = standardise(unit_statistics(statistics, challenge).to_numpy(np.float64))
    values = cross_fitted_scores(features, labels, speakers)
    scores = Scores(
        name="blind",
        level=level,
        access="none",
        two_sided=False,
        unit_ids=units["unit_id"].to_numpy(str),
        speakers=speakers,
        members=labels[0],
        values=values[0],
    )
    return BlindControl(scores, values[1:], labels[1:])


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


def cross_fitted_scores(features: np.ndarray, labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Score every unit by a ridge classifier that was fitted without its speaker's fold.

    Targets are +1/members and −1/non-members of the training part, so that the sides weigh the same and no
    intercept is needed. Then X'y is the difference of the class means, which is all that depends on the
    labels: refitting R redraws is one matrix product a fold. Each difference is raised to `CONTRAST`, with
    its sign, before the ridge is solved. Where the training part has one side only, nothing can be learnt,
    and the fold's scores are 0.

    Args:
        features: (n, d) standardised.
        labels: (n,) or (R, n) bool.
        speakers: (n,) str.

    Returns:
        Scores of the shape of `labels`, higher = more likely a member.
    """
    folds = speaker_folds(speakers)
    members = np.atleast_2d(labels).T.astype(np.float64)  # (n, R)
    scores = np.empty_like(members)
    for fold in np.unique(folds):
        test, training = folds == fold, folds != fold
        X = features[training]  # (m, d)
        gram = X.T @ X
        ridge = RIDGE * np.trace(gram) / max(len(gram), 1) * np.eye(len(gram))
        difference = X.T @ _balanced_targets(members[training])  # (d, R)
        contrasted = np.sign(difference) * np.abs(difference) ** CONTRAST
        scores[test] = features[test] @ np.linalg.solve(gram + ridge, contrasted)
    return scores.T.reshape(np.shape(labels))


def _balanced_targets(members: np.ndarray) -> np.ndarray:
    """+1/members, −1/non-members for each column of `members` (m, R) in {0, 1}; 0 where one side is empty."""
    n_members = members.sum(axis=0)
    n_nonmembers = len(members) - n_members
    both = (n_members > 0) & (n_nonmembers > 0)
    return both * (members / np.maximum(n_members, 1) - (1 - members) / np.maximum(n_nonmembers, 1))
