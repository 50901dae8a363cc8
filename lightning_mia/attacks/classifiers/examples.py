"""Training examples for learned attacks: every unit under every shadow model, labelled IN or OUT.

A learned attack is fitted on what shadow models answer about units whose membership is known, and applied to what the
target answers. Numbers of different models are comparable only once every model's are standardised, and far more so
once they are *calibrated*: compared with what shadow models that are OUT say of the same unit.

Where a setting is chosen, or a fit is stopped, by shadow models that are left out, take these as the target in turn,
`Evidence(target=shadows.signals[k], shadows=shadows.without_pair_of(k))`, and make the examples anew: nothing of the
left-out pair is in the others' calibration then.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.signals.table import Signals

Reader = Callable[[Signals, pd.DataFrame], pd.DataFrame]
"""From a model's signals and recordings (columns `id`, `unit_id`, `speaker`) to (recordings, d) numbers, by id."""


@dataclass(frozen=True)
class ShadowExamples:
    """What to learn on, and what to judge. Every model's columns have median 0 and interquartile range 1.

    Attributes:
        columns: (d,) names of the numbers.
        features: (K, m, d) float64, units under shadow models.
        labels: (K, m) bool, the unit is IN for the shadow model.
        pairs: (K,) int, the complementary pair that each shadow model belongs to; leave out whole pairs only.
        example_units: (m,) names; those of the challenge set, or of the pool of a fleet that never saw it.
        target: (n, d) float64, the challenge set's units under the target.
        units: (n,) names.
        judged: (K, n, d) float64, the challenge set's units under shadow models, never calibrated; `features` as they
            are read, unless the fleet was trained on a pool: all its models are OUT for all of these then.
    """

    columns: list[str]
    features: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray
    example_units: pd.Index
    target: np.ndarray
    units: pd.Index
    judged: np.ndarray


def read_columns(*patterns: str) -> Reader:
    """Read the signals whose name matches one of these regular expressions from its first letter to its last.

    >>> table = pd.DataFrame({"views_pair00": [0.5], "views_pair01": [0.7], "pretext_score": [1.0]}, index=["a"])
    >>> signals = Signals(table, np.zeros((1, 1, 1)))
    >>> list(read_columns("views_.*")(signals, pd.DataFrame({"id": ["a"]})))
    ['views_pair00', 'views_pair01']
    """
    compiled = [re.compile(pattern) for pattern in patterns]

    def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        names = [name for name in signals.scalars if any(one.fullmatch(str(name)) for one in compiled)]
        return signals.scalars.loc[recordings["id"], names]

    return read


def read_jointly(*readers: Reader) -> Reader:
    """Put the columns of several readers side by side."""

    def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([one(signals, recordings) for one in readers], axis=1)

    return read


def shadow_examples(
    evidence: Evidence, read: Reader, calibrated: bool = False, one_scale: bool = False
) -> ShadowExamples:
    """Make the examples.

    A unit of several recordings has their mean. Columns that a model lacks, that are not finite somewhere or that
    are constant under some model are left out: no label is looked at.

    Args:
        evidence: with shadow models.
        read: what is read of every model.
        calibrated: subtract from each number the mean of the same unit's over the shadow models that are OUT for it.
            For a unit under a shadow model, that model's pair is left out of the mean, the partner too: which of the
            two counts would tell the label. All examples have equally many models in the mean; the target, of which
            no pair has to be left out, has one more, and is therefore scaled anew like every model.
        one_scale: give all columns of a model the same median and scale, for numbers that are one set.

    Raises:
        CannotRun: no shadow models, too few to calibrate by, or no column that every model has.
    """
    if evidence.shadows is None:
        raise CannotRun("it needs shadow models")
    shadows = _whole_pairs(evidence.shadows) if calibrated else evidence.shadows
    judged = evidence.challenge
    known = judged if shadows.pool is None else _at_level_of(judged, shadows.pool)
    tables = [_by_unit(read(one, known), known) for one in shadows.signals]
    target = _by_unit(read(evidence.target, judged), judged)
    of_judged = [] if shadows.pool is None else [_by_unit(read(one, judged), judged) for one in shadows.signals]
    columns = _usable([target, *tables, *of_judged])
    standardised = partial(_standardised, axis=None if one_scale else 0)
    features = np.stack([standardised(table[columns]) for table in tables])
    reference = np.stack([standardised(table[columns]) for table in of_judged]) if of_judged else features
    of_target = standardised(target[columns])
    labels = shadows.members.loc[known["id"]].to_numpy()[~known["unit_id"].duplicated().to_numpy()].T
    if calibrated:
        others = None if shadows.pool is None else reference.mean(axis=0)
        features, of_target = _calibrated(features, labels, shadows.pairs, of_target, others)
        features, of_target = np.stack([standardised(one) for one in features]), standardised(of_target)
    return ShadowExamples(columns, features, labels, shadows.pairs, tables[0].index, of_target, target.index, reference)


def _at_level_of(judged: pd.DataFrame, pool: pd.DataFrame) -> pd.DataFrame:
    """The pool with one unit a recording, where the challenge set has one unit a recording."""
    by_recording = bool((judged["unit_id"] == judged["id"]).all())
    return pool.assign(unit_id=pool["id"]) if by_recording else pool


def _whole_pairs(shadows: ShadowModels) -> ShadowModels:
    """Without a shadow model whose partner is not there.

    Raises:
        CannotRun: fewer than two pairs are left.
    """
    number, count = np.unique(shadows.pairs, return_counts=True)
    whole = shadows.take(np.isin(shadows.pairs, number[count == 2]))
    if len(whole) < 4:
        raise CannotRun(f"it needs two complementary pairs of shadow models to calibrate, and has {len(whole) // 2}")
    return whole


def _by_unit(numbers: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    """Numbers of recordings → means of units, in the order in which units first appear."""
    values = numbers.to_numpy(dtype=np.float64)[numbers.index.get_indexer(pd.Index(recordings["id"]))]
    place, units = pd.factorize(recordings["unit_id"])
    sums = np.zeros((len(units), values.shape[1]))
    np.add.at(sums, place, values)
    return pd.DataFrame(sums / np.bincount(place)[:, None], index=pd.Index(units), columns=numbers.columns)


def _usable(tables: Sequence[pd.DataFrame]) -> list[str]:
    """Columns that all tables have, finite and not constant."""
    usable = pd.Series(True, index=tables[0].columns)
    for table in tables:
        values = table.to_numpy()
        finite = np.isfinite(values).all(axis=0)
        varies = np.ptp(np.where(finite, values, 0.0), axis=0) > 0
        usable &= pd.Series(finite & varies, index=table.columns).reindex(usable.index, fill_value=False)
    if not usable.any():
        raise CannotRun("it needs signals that every model gives and that differ from unit to unit, and there are none")
    return [str(name) for name in usable.index[usable]]


def _standardised(table: pd.DataFrame | np.ndarray, axis: int | None) -> np.ndarray:
    """(units, d), by the median and the interquartile range, or the standard deviation where that range is 0.

    Args:
        table: (units, d).
        axis: 0: column by column; None: all columns together.
    """
    values = np.asarray(table, dtype=np.float64)
    low, centre, high = np.percentile(values, [25, 50, 75], axis=axis)
    deviation = values.std(axis=axis)
    scale = np.where(high > low, high - low, np.where(deviation > 0, deviation, 1.0))
    return (values - centre) / scale


def _calibrated(
    features: np.ndarray, labels: np.ndarray, pairs: np.ndarray, target: np.ndarray, others: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the mean of the OUT shadow models.

    Args:
        features: (K, m, d).
        labels: (K, m) bool.
        pairs: (K,) int.
        target: (n, d).
        others: (n, d), mean of the shadow models for the challenge set where they are OUT for all of it; None: the
            examples are the challenge set's units, and the mean is that over each unit's OUT shadow models.

    Raises:
        CannotRun: a unit has too few shadow models that are OUT.
    """
    out = ~labels
    total, count = np.einsum("kmd,km->md", features, out.astype(np.float64)), out.sum(axis=0)
    calibrated = np.empty_like(features)
    for pair in np.unique(pairs):
        own = pairs == pair
        n_others = count - out[own].sum(axis=0)
        if (n_others == 0).any():
            raise CannotRun("it needs for every unit shadow models of two pairs that are OUT")
        of_others = total - np.einsum("kmd,km->md", features[own], out[own].astype(np.float64))
        calibrated[own] = features[own] - of_others / n_others[:, None]
    of_target = target - (total / count[:, None] if others is None else others)
    return calibrated, of_target
