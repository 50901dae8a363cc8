"""Blind baseline: a classifier of membership on model-free statistics.

If it beats chance, members and non-members differ in more than membership, and no attack on this split proves anything
about a model. Its p-value comes from redrawing the split and refitting; folds, features and ridge strength do not
depend on the labels, so that observed and redrawn labels are exchangeable. (A plain interval would not do: the standard
deviation of the refitted AUROC is a third larger than its standard error for fixed scores.)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.permutation import NullDistribution, corrected_p_values
from lightning_mia.evaluation.statistics.roc import aurocs_and_advantages
from lightning_mia.splits.blind_baseline.few_units import FEW_UNITS, largest_correlations
from lightning_mia.splits.blind_baseline.own_directions import OwnDirections
from lightning_mia.utilities.errors import InputError

N_FOLDS = 10
CHUNK = 4_000_000  # scores held in memory at once: 32 MB

# Chosen in advance, on confounds planted in real speech; never tuned to the labels of a split.
RIDGE = 1.0
"""Ridge strength, in mean eigenvalues of the training part's Gram matrix."""
CONTRAST = 1.5
"""Exponent of the class-mean differences, so that one informative statistic among ninety is not masked by the others:
shifted by one standard deviation (100 + 100 units), it raises the AUROC by 4.4 standard deviations of its null
distribution; with exponent 1, by 3.0."""
DISTANCE = 0.7
"""Standard deviation of the distances from the median; that of the ranks is 1."""
HALF_WEIGHT = 30.0
"""Units per speaker at which the fit of each speaker alone has half the weight of the fit over all speakers."""


@dataclass(frozen=True, eq=False)
class BlindBaseline:
    """Blind baseline of one level, input of `lightning_mia.evaluation.evaluate_blind`.

    Attributes:
        scores: scores of the n units, cross-fitted to the observed labels.
        redrawn_aurocs: (R,) AUROC of scores that are cross-fitted to redrawn labels, under these labels.
        redrawn_advantages: (R,) max(TPR − FPR) of the same scores.
        correlations: (1 + R,) largest correlation of membership with one statistic, under observed and redrawn labels;
            None with many units, or within speakers.

    Example:
        >>> ids = [f"r{i}" for i in range(40)]
        >>> members = np.arange(40) % 2 == 0
        >>> challenge = pd.DataFrame({"id": ids, "unit_id": ids, "speaker": ids, "member": members})
        >>> rng = np.random.default_rng(0)  # members are longer
        >>> statistics = pd.DataFrame({"duration_s": rng.normal(size=40) + 2 * members}, index=ids)
        >>> redraws = rng.permuted(np.tile(members, (99, 1)), axis=1)
        >>> fit_blind_baseline(statistics, challenge, redraws, "utterance").p_value < 0.05
        True
    """

    scores: Scores
    redrawn_aurocs: np.ndarray
    redrawn_advantages: np.ndarray
    correlations: np.ndarray | None = None

    @property
    def aurocs(self) -> np.ndarray:
        """AUROC under observed and redrawn labels, (1 + R,)."""
        observed, _ = aurocs_and_advantages(self.scores.values[None], self.scores.members[None])
        return np.append(observed, self.redrawn_aurocs)

    @property
    def nulls(self) -> list[NullDistribution]:
        """AUROC and, with few units, largest correlation of all labellings."""
        statistics = [self.aurocs] if self.correlations is None else [self.aurocs, self.correlations]
        return [NullDistribution(values, two_sided=False) for values in statistics]

    @property
    def p_value(self) -> float:
        """One-sided p-value, corrected if there are two statistics."""
        return min(corrected_p_values(self.nulls))


def fit_blind_baseline(
    statistics: pd.DataFrame, challenge: pd.DataFrame, redraws: np.ndarray, level: str, *, within_speakers: bool = False
) -> BlindBaseline:
    """Fit the blind classifier to observed and redrawn labels.

    Args:
        statistics: of one kind, such as `blind_statistics`; index = recording id.
        challenge: challenge set, one row per recording: `id`, `unit_id`, `speaker`, `member` (bool).
        redraws: (R, n) bool, labels from `Split.redraw`, in the order of `challenge["unit_id"].unique()`.
        level: "utterance" or "speaker"; at speaker level a unit's statistics are means over its recordings.
        within_speakers: add distances from the median, subtract the means of speakers with both labels, and also learn
            from each speaker alone.

    Raises:
        InputError: fewer than two speakers.
    """
    units = challenge.drop_duplicates("unit_id")
    speakers = units["speaker"].to_numpy(str)
    members = units["member"].to_numpy(bool)
    values = unit_statistics(statistics, challenge).to_numpy(np.float64)
    features = standardised_ranks(values)
    fit: CrossFit | WithinSpeakers = CrossFit(features, speakers)
    if within_speakers:
        divided = divided_speakers(np.concatenate([members[None], redraws]), speakers)
        fit = WithinSpeakers(centred_by_speaker(with_distances(features), speakers, divided), speakers)
    scores = Scores(
        name="blind",
        level=level,
        access="none",
        two_sided=False,
        unit_ids=units["unit_id"].to_numpy(str),
        speakers=speakers,
        members=members,
        values=fit.scores(members[None])[0],
    )
    rows = max(1, CHUNK // len(members))
    chunks = (redraws[start : start + rows] for start in range(0, len(redraws), rows))
    results = [aurocs_and_advantages(fit.scores(labels), labels) for labels in chunks]
    aurocs, advantages = (np.concatenate(parts) for parts in zip(*results, strict=True))
    correlations = None
    if len(members) <= FEW_UNITS and not within_speakers:
        correlations = largest_correlations(values, np.concatenate([members[None], redraws]))
    return BlindBaseline(scores, aurocs, advantages, correlations)


def fit_blind_baselines(
    statistics: Mapping[str, pd.DataFrame], challenge: pd.DataFrame, redraws: np.ndarray, level: str
) -> dict[str, BlindBaseline]:
    """Fit one blind classifier to each kind of statistics, and a second one to acoustics.

    The one of `acoustics` learns what all members share. The second, `within`, and those of other kinds also hear
    changes in both directions and compare recordings of the same speaker, if a speaker has both labels.

    Args:
        statistics: by kind; `acoustics` comes first.
        challenge: as in `fit_blind_baseline`.
        redraws: as in `fit_blind_baseline`.
        level: as in `fit_blind_baseline`.

    Raises:
        InputError: fewer than two speakers.
    """
    fits = {}
    for kind, table in statistics.items():
        fits[kind] = fit_blind_baseline(table, challenge, redraws, level, within_speakers=kind != "acoustics")
        if kind == "acoustics":
            fits["within"] = fit_blind_baseline(table, challenge, redraws, level, within_speakers=True)
    return fits


def unit_statistics(statistics: pd.DataFrame, challenge: pd.DataFrame) -> pd.DataFrame:
    """Average the statistics of every unit, and count its recordings.

    Units are in the order of `challenge`.
    """
    units = challenge["unit_id"].to_numpy()
    groups = statistics.loc[challenge["id"]].groupby(units, sort=False)
    return groups.mean().assign(n_recordings=groups.size().astype(np.float64))


def with_distances(ranks: np.ndarray) -> np.ndarray:
    """Add distances from the median, which show changes in both directions.

    Columns of two values have none.

    Args:
        ranks: (units, d), from `standardised_ranks`.
    """
    of_many_values = [len(np.unique(column)) > 2 for column in ranks.T]
    return np.hstack([ranks, DISTANCE * standardised_ranks(np.abs(ranks[:, of_many_values]))])


def standardised_ranks(statistics: np.ndarray) -> np.ndarray:
    """Replace columns by standardised ranks, (units, d).

    Constant columns are dropped. Ranks limit the influence of outliers, and are independent of the scale of a statistic
    and of the labels.
    """
    from scipy.stats import rankdata

    varying = statistics[:, (statistics != statistics[:1]).any(axis=0)]
    ranks = rankdata(varying, axis=0)
    return (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)


def divided_speakers(labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    """Mark units of speakers who have both labels in some labelling, (n,) bool.

    All labellings count alike, so that observed and redrawn ones stay exchangeable.

    Args:
        labels: (1 + R, n) bool, observed and redrawn.
        speakers: (n,) str.
    """
    speaker = np.unique(speakers, return_inverse=True)[1]
    order = np.argsort(speaker, kind="stable")
    starts = np.flatnonzero(np.diff(speaker[order], prepend=-1))
    both = np.zeros(len(starts), bool)
    for row in labels:
        members = np.add.reduceat(row[order].astype(int), starts)
        both |= (members > 0) & (members < np.diff(starts, append=len(order)))
        if both.all():
            break
    return both[speaker]


def centred_by_speaker(features: np.ndarray, speakers: np.ndarray, divided: np.ndarray) -> np.ndarray:
    """Subtract each divided speaker's mean, and scale as before, (n, d).

    Where labels differ within speakers, differences between voices are noise.
    """
    centred = features.copy()
    own = pd.DataFrame(features[divided]).groupby(speakers[divided], sort=False)
    centred[divided] -= own.transform("mean").to_numpy()
    before, after = features.std(axis=0), centred.std(axis=0)
    varying = after > 1e-9
    return centred[:, varying] * (before[varying] / after[varying])


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


class WithinSpeakers:
    """Sum of two cross-fits: over all speakers, and of each speaker alone.

    The first finds what sets members apart everywhere, the second what sets them apart differently for each speaker,
    such as two sessions in different rooms. Both are standardised, and the second counts the more, the more units a
    speaker has to learn from.

    Args:
        features: (n, d), from `centred_by_speaker`.
        speakers: (n,) str.
    """

    def __init__(self, features: np.ndarray, speakers: np.ndarray) -> None:
        self._overall, self._own = CrossFit(features, speakers), OwnDirections(features, speakers)
        _, speaker, counts = np.unique(speakers, return_inverse=True, return_counts=True)
        typical = float(counts[speaker].mean())  # units of a unit's speaker
        self._weight = typical / (typical + HALF_WEIGHT)

    def scores(self, labels: np.ndarray) -> np.ndarray:
        """Fit to labels and score all units, (R, n)."""
        overall, own = (_standardised_rows(fit.scores(labels)) for fit in (self._overall, self._own))
        return overall + self._weight * own


def _standardised_rows(scores: np.ndarray) -> np.ndarray:
    deviations = scores.std(axis=1, keepdims=True)
    return np.divide(scores, deviations, out=np.zeros_like(scores), where=deviations > 1e-12)


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
        self._ridges = [_with_ridge(gram) for gram in _sums_over_others([X.T @ X for X in self._features])]
        self._sums = _sums_over_others([X.sum(axis=0)[:, None] for X in self._features])  # of training parts, (d, 1)

    def scores(self, labels: np.ndarray) -> np.ndarray:
        """Fit to labels and score all units.

        Labels are (n,) or (R, n) bool; scores have the same shape.
        """
        rows = np.atleast_2d(labels)
        members = [rows[:, positions].T.astype(np.float64) for positions in self._positions]  # of each fold, (n_f, R)
        counts = _sums_over_others([fold.sum(axis=0) for fold in members])  # members of each training part, (R,)
        sums = _sums_over_others([X.T @ fold for X, fold in zip(self._features, members, strict=True)])  # (d, R)
        scores = np.empty(rows.shape)
        for fold, (positions, X) in enumerate(zip(self._positions, self._features, strict=True)):
            n_members, member_sums = counts[fold], sums[fold]
            n_nonmembers = rows.shape[1] - len(positions) - n_members
            nonmember_sums = self._sums[fold] - member_sums
            difference = member_sums / np.maximum(n_members, 1) - nonmember_sums / np.maximum(n_nonmembers, 1)
            difference *= (n_members > 0) & (n_nonmembers > 0)
            contrasted = np.sign(difference) * np.abs(difference) ** CONTRAST
            scores[:, positions] = (X @ np.linalg.solve(self._ridges[fold], contrasted)).T
        return scores.reshape(np.shape(labels))


def _sums_over_others(folds: list[np.ndarray]) -> list[np.ndarray]:
    """Sum over all other folds.

    The total minus the fold would depend on the fold by rounding.
    """
    return [np.sum(folds[:fold] + folds[fold + 1 :], axis=0) for fold in range(len(folds))]


def _with_ridge(gram: np.ndarray) -> np.ndarray:
    return gram + RIDGE * np.trace(gram) / max(len(gram), 1) * np.eye(len(gram))
