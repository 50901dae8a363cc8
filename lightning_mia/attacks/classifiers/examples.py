"""Training examples of learned attacks, labelled IN or OUT.

A learned attack is fitted on signals of shadow models, whose members are known, and applied to signals of the target.
Signals of different models are comparable only after standardising each model. Calibrating them against the same
unit's signals under other shadow models (`classifiers.folds`) helps far more.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun, Evidence
from lightning_mia.attacks.shadow_models.units import Units, standardise
from lightning_mia.signals.table import Signals

Reader = Callable[[Signals, pd.DataFrame], pd.DataFrame]
"""Maps a model's signals and recordings (columns `id`, `unit_id`, `speaker`) to (recordings, d) numbers, by id."""


@dataclass(frozen=True)
class ShadowExamples:
    """Training examples and challenge units of a learned attack.

    Each model is standardised to median 0 and interquartile range 1.

    Attributes:
        columns: (d,) names of the numbers.
        features: (K, m, d) float64, training units under shadow models.
        labels: (K, m) bool, whether the unit is IN.
        pairs: (K,) int, complementary pair of each shadow model; leave out whole pairs only.
        example_units: (m,) names of the training units: the challenge units, or those of the shadow models' pool.
        target: (n, d) float64, challenge units under the target.
        units: (n,) names of the challenge units.
        challenge: (K, n, d) float64, challenge units under shadow models; the array `features` itself, unless the
            shadow models were trained on a pool and are OUT for every challenge unit.
    """

    columns: list[str]
    features: np.ndarray
    labels: np.ndarray
    pairs: np.ndarray
    example_units: pd.Index
    target: np.ndarray
    units: pd.Index
    challenge: np.ndarray

    @property
    def from_pool(self) -> bool:
        """Whether the training units are those of a pool."""
        return self.challenge is not self.features


def read_columns(*patterns: str) -> Reader:
    """Make a reader of columns that match regular expressions.

    >>> table = pd.DataFrame({"views_pair00": [0.5], "views_pair01": [0.7], "pretext_score": [1.0]}, index=["a"])
    >>> signals = Signals(table, np.zeros((1, 1, 1)))
    >>> list(read_columns("views_.*")(signals, pd.DataFrame({"id": ["a"]})))
    ['views_pair00', 'views_pair01']
    """
    compiled = [re.compile(pattern) for pattern in patterns]

    def read(signals: Signals, recordings: pd.DataFrame) -> pd.DataFrame:
        names = [name for name in signals.scalars if any(pattern.fullmatch(str(name)) for pattern in compiled)]
        return signals.scalars.loc[recordings["id"], names]

    return read


def shadow_examples(evidence: Evidence, read: Reader, shared_scale: bool = False) -> ShadowExamples:
    """Collect the training examples.

    Signals of a unit are averaged over its recordings. Columns that some model lacks, or that are not finite or
    constant under some model, are dropped. No membership label of the target is used.

    Args:
        evidence: with shadow models.
        read: reader of the features of a model.
        shared_scale: standardise all columns of a model together, for numbers that form one set.

    Raises:
        CannotRun: no shadow models, or no usable column.
    """
    shadows, challenge = evidence.shadows, evidence.challenge
    if shadows is None:
        raise CannotRun("it needs shadow models")
    from_pool = shadows.pool is not None
    training = challenge if shadows.pool is None else _pool_at_level(shadows.pool, challenge)
    training_tables = [_unit_means(read(signals, training), training) for signals in shadows.signals]
    target = _unit_means(read(evidence.target, challenge), challenge)
    challenge_tables = [_unit_means(read(signals, challenge), challenge) for signals in shadows.signals if from_pool]
    columns = _usable_columns([target, *training_tables, *challenge_tables])
    axis = None if shared_scale else 0

    def stack(tables: Sequence[pd.DataFrame]) -> np.ndarray:
        return np.stack([_standardised(table[columns], axis) for table in tables])

    features = stack(training_tables)
    first = ~training["unit_id"].duplicated().to_numpy()
    return ShadowExamples(
        columns=columns,
        features=features,
        labels=shadows.members.loc[training["id"]].to_numpy()[first].T,
        pairs=shadows.pairs,
        example_units=training_tables[0].index,
        target=_standardised(target[columns], axis),
        units=target.index,
        challenge=stack(challenge_tables) if from_pool else features,
    )


def _pool_at_level(pool: pd.DataFrame, challenge: pd.DataFrame) -> pd.DataFrame:
    """Give the pool units of the challenge set's level."""
    by_recording = bool((challenge["unit_id"] == challenge["id"]).all())
    return pool.assign(unit_id=pool["id"]) if by_recording else pool


def _unit_means(numbers: pd.DataFrame, recordings: pd.DataFrame) -> pd.DataFrame:
    units = Units.locate(recordings, numbers.index)
    return pd.DataFrame(units.mean(numbers.to_numpy(dtype=np.float64)), index=units.names, columns=numbers.columns)


def _usable_columns(tables: Sequence[pd.DataFrame]) -> list[str]:
    """List columns that are finite and vary in every table."""
    usable = pd.Series(True, index=tables[0].columns)
    for table in tables:
        values = table.to_numpy()
        finite = np.isfinite(values).all(axis=0)
        varies = np.ptp(np.where(finite, values, 0.0), axis=0) > 0
        usable &= pd.Series(finite & varies, index=table.columns).reindex(usable.index, fill_value=False)
    if not usable.any():
        raise CannotRun("it needs signals that every model provides and that vary between units, and there are none")
    return [str(name) for name in usable.index[usable]]


def _standardised(table: pd.DataFrame, axis: int | None) -> np.ndarray:
    """Standardise the units of one model.

    The standard deviation replaces an interquartile range of 0.
    """
    values = table.to_numpy(dtype=np.float64)
    deviation = values.std(axis=axis)
    return standardise(values, values, np.where(deviation > 0, deviation, 1.0), axis)
