"""Blind baseline: a classifier of membership on model-free statistics.

If it beats chance, members and non-members differ in more than membership, and no attack on this split proves anything
about a model. Its p-value comes from redrawing the split and refitting; folds, features and ridge strength do not
depend on the labels, so that observed and redrawn labels are exchangeable. (A plain interval would not do: the standard
deviation of the refitted AUROC is a third larger than its standard error for fixed scores.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from lightning_mia.evaluation.scores import Scores
from lightning_mia.evaluation.statistics.permutation import NullDistribution, corrected_p_values
from lightning_mia.evaluation.statistics.roc import aurocs_and_advantages
from lightning_mia.splits.blind_baseline.cross_fit import CrossFit
from lightning_mia.splits.blind_baseline.few_units import FEW_UNITS, largest_correlations
from lightning_mia.splits.blind_baseline.within_speakers import WithinSpeakers, centred_by_speaker, divided_speakers

ACROSS_SPEAKERS = ("acoustics", "fine")
"""Kinds whose classifier learns only what all members share; the others also learn within speakers."""
CHUNK = 4_000_000  # scores held in memory at once: 32 MB

DISTANCE = 0.7
"""Standard deviation of the distances from the median; that of the ranks is 1. Chosen in advance, on confounds planted
in real speech; never tuned to the labels of a split."""


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
    statistics: pd.DataFrame,
    challenge: pd.DataFrame,
    redraws: np.ndarray,
    level: str,
    *,
    both_directions: bool = False,
    within_speakers: bool = False,
) -> BlindBaseline:
    """Fit the blind classifier to observed and redrawn labels.

    Args:
        statistics: of one kind, such as `blind_statistics`; index = recording id.
        challenge: challenge set, one row per recording: `id`, `unit_id`, `speaker`, `member` (bool).
        redraws: (R, n) bool, labels from `Split.redraw`, in the order of `challenge["unit_id"].unique()`.
        level: "utterance" or "speaker"; at speaker level a unit's statistics are means over its recordings.
        both_directions: add distances from the median.
        within_speakers: subtract the means of speakers with both labels, and also learn from each speaker alone.

    Raises:
        InputError: fewer than two speakers.
    """
    units = _Units(challenge, redraws, level)
    classifier = _Classifier(statistics, units, both_directions=both_directions, within_speakers=within_speakers)
    return _refitted({"": classifier}, units)[""]


def fit_blind_baselines(
    statistics: Mapping[str, pd.DataFrame], challenge: pd.DataFrame, redraws: np.ndarray, level: str
) -> dict[str, BlindBaseline]:
    """Fit one blind classifier to each kind of statistics, and a second one to acoustics.

    Those of `acoustics` and of `fine` learn what all members share; that of `fine` also hears changes in both
    directions. The second one of acoustics, `within`, and those of other kinds hear them too, and compare recordings of
    the same speaker, if a speaker has both labels.

    Args:
        statistics: by kind; `acoustics` comes first.
        challenge: as in `fit_blind_baseline`.
        redraws: as in `fit_blind_baseline`.
        level: as in `fit_blind_baseline`.

    Raises:
        InputError: fewer than two speakers.
    """
    units = _Units(challenge, redraws, level)
    classifiers = {}
    for kind, table in statistics.items():
        classifiers[kind] = _Classifier(
            table, units, both_directions=kind != "acoustics", within_speakers=kind not in ACROSS_SPEAKERS
        )
        if kind == "acoustics":
            classifiers["within"] = _Classifier(table, units, both_directions=True, within_speakers=True)
    return _refitted(classifiers, units)


class _Units:
    """Units of a challenge set with observed and redrawn labels.

    Args:
        challenge: as in `fit_blind_baseline`.
        redraws: as in `fit_blind_baseline`.
        level: as in `fit_blind_baseline`.
    """

    def __init__(self, challenge: pd.DataFrame, redraws: np.ndarray, level: str) -> None:
        units = challenge.drop_duplicates("unit_id")
        self.challenge, self.level = challenge, level
        self.unit_ids = units["unit_id"].to_numpy(str)
        self.speakers = units["speaker"].to_numpy(str)
        members = units["member"].to_numpy(bool)
        self.labels = np.concatenate([members[None], redraws])  # (1 + R, n)

    @cached_property
    def divided(self) -> np.ndarray:
        return divided_speakers(self.labels, self.speakers)


class _Classifier:
    """Classifier of one kind of statistics; arguments as in `fit_blind_baseline`."""

    def __init__(self, statistics: pd.DataFrame, units: _Units, *, both_directions: bool, within_speakers: bool):
        values = unit_statistics(statistics, units.challenge).to_numpy(np.float64)
        features = standardised_ranks(values)
        if both_directions:
            features = with_distances(features)
        if within_speakers:
            features = centred_by_speaker(features, units.speakers, units.divided)
        self.fit = (WithinSpeakers if within_speakers else CrossFit)(features, units.speakers)
        few = len(units.speakers) <= FEW_UNITS and not within_speakers
        self.correlations = largest_correlations(values, units.labels) if few else None


def _refitted(classifiers: Mapping[str, _Classifier], units: _Units) -> dict[str, BlindBaseline]:
    """Fit every classifier to all labellings; they share the matrix of labels."""
    rows = max(1, CHUNK // len(units.speakers))
    observed: dict[str, np.ndarray] = {}
    results: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {kind: [] for kind in classifiers}
    for start in range(0, len(units.labels), rows):
        labels = units.labels[start : start + rows]
        members = labels.T.astype(np.float64)  # (n, rows)
        for kind, classifier in classifiers.items():
            values = np.ascontiguousarray(classifier.fit.scores(members).T)
            observed.setdefault(kind, values[0].copy())
            results[kind].append(aurocs_and_advantages(values, labels))
    baselines = {}
    for kind, classifier in classifiers.items():
        aurocs, advantages = (np.concatenate(parts)[1:] for parts in zip(*results[kind], strict=True))
        scores = Scores(
            "blind", units.level, "none", False, units.unit_ids, units.speakers, units.labels[0], observed[kind]
        )
        baselines[kind] = BlindBaseline(scores, aurocs, advantages, classifier.correlations)
    return baselines


def unit_statistics(statistics: pd.DataFrame, challenge: pd.DataFrame) -> pd.DataFrame:
    """Average the statistics of every unit, and count its recordings.

    Units are in the order of `challenge`.
    """
    units, recordings = challenge["unit_id"], statistics.loc[challenge["id"]]
    if units.is_unique:
        return recordings.set_axis(units.to_numpy(), axis=0).assign(n_recordings=1.0)
    groups = recordings.groupby(units.to_numpy(), sort=False)
    return groups.mean().assign(n_recordings=groups.size().astype(np.float64))


def with_distances(ranks: np.ndarray) -> np.ndarray:
    """Add distances from the median, which show changes in both directions.

    Columns of two values have none.

    Args:
        ranks: (units, d), from `standardised_ranks`.
    """
    low, high = ranks.min(axis=0, initial=np.inf), ranks.max(axis=0, initial=-np.inf)
    of_many_values = ((ranks != low) & (ranks != high)).any(axis=0)
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
