"""Signals of target and shadow models, aligned by unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.attacks.shadow_models.units import Units, standardise
from lightning_mia.utilities.errors import list_first

SUFFICIENT_AUXILIARY = 20


@dataclass(frozen=True)
class SignalMatrix:
    """Signal of n units under target and K shadow models.

    The signals of each model are centred by their median over the challenge recordings and scaled by their
    interquartile range; no label is used. Then they are averaged over the recordings of each unit.

    Shadow models trained on a pool are OUT for all challenge units, whereas half of these are IN for the target:
    standardising by the challenge set would distort the target alone. With a pool and 20 or more auxiliary recordings,
    which are OUT for all models, median and interquartile range are therefore those of the auxiliary recordings.

    Attributes:
        units: (n,) names.
        target: (n, d) float64.
        shadows: (K, n, d) float64.
        members: (K, n) bool: the unit is IN for the shadow model.
        auxiliary_target: (a, d), auxiliary recordings under the target.
        auxiliary_shadows: (K, a, d), auxiliary recordings under the shadow models.
        pairs: (K,) int, complementary pair of each shadow model.
        learning_shadows: (K, m, d), units that are IN for some shadow models, from which properties of the signal,
            such as its sign, are learned: the challenge units, or those of the pool.
        learning_members: (K, m) bool.
    """

    units: pd.Index
    target: np.ndarray
    shadows: np.ndarray
    members: np.ndarray
    auxiliary_target: np.ndarray
    auxiliary_shadows: np.ndarray
    pairs: np.ndarray
    learning_shadows: np.ndarray
    learning_members: np.ndarray


class MatrixReader:
    """Reader of signal matrices that keeps the last one.

    Consecutive attacks on one signal share the matrix.
    """

    def __init__(self) -> None:
        self._last: tuple[Evidence, ScalarSignal, SignalMatrix] | None = None

    def __call__(self, evidence: Evidence, signal: ScalarSignal) -> SignalMatrix:
        """Return `signal_matrix(evidence, signal)`."""
        if self._last is None or self._last[0] is not evidence or self._last[1] != signal:
            self._last = (evidence, signal, signal_matrix(evidence, signal))
        return self._last[2]


def signal_matrix(evidence: Evidence, signal: ScalarSignal) -> SignalMatrix:
    """Read a signal of every model.

    Raises:
        CannotRun: no shadow models, or a signal that is not finite.
    """
    shadows = evidence.shadows
    if shadows is None or len(shadows) == 0:
        raise CannotRun("it needs shadow models")
    challenge, pool = evidence.challenge, shadows.pool
    auxiliary = evidence.auxiliary["id"]
    known = signal.read(evidence.target).dropna().index  # a signal may not be measured on auxiliary recordings
    auxiliary = auxiliary[known.get_indexer(pd.Index(auxiliary)) >= 0]
    tables = [challenge, pd.DataFrame({"id": auxiliary, "unit_id": auxiliary}), *([] if pool is None else [pool])]
    ids = pd.Index(pd.concat([recordings["id"] for recordings in tables]).unique())
    units = [Units.locate(recordings, ids) for recordings in tables]
    challenge_units, auxiliary_units, *_ = units
    use_auxiliary = pool is not None and len(auxiliary) >= SUFFICIENT_AUXILIARY
    reference = auxiliary_units if use_auxiliary else challenge_units
    rows = _Rows.locate(evidence.target.scalars.index, ids)
    target, auxiliary_target = _unit_signals(
        "the target", signal.read(evidence.target), rows, reference, [challenge_units, auxiliary_units]
    )
    by_model = [
        _unit_signals(str(name), signal.read(signals), rows, reference, units)
        for name, signals in zip(shadows.members, shadows.signals, strict=True)
    ]
    challenge_shadows, auxiliary_shadows, *pool_shadows = (np.stack(arrays) for arrays in zip(*by_model, strict=True))
    members = _members(shadows, challenge) if pool is None else np.zeros(challenge_shadows.shape[:2], dtype=bool)
    return SignalMatrix(
        units=challenge_units.names,
        target=target,
        shadows=challenge_shadows,
        members=members,
        auxiliary_target=auxiliary_target,
        auxiliary_shadows=auxiliary_shadows,
        pairs=shadows.pairs,
        learning_shadows=challenge_shadows if pool is None else pool_shadows[0],
        learning_members=members if pool is None else _members(shadows, pool),
    )


def _members(shadows: ShadowModels, recordings: pd.DataFrame) -> np.ndarray:
    """Return the membership of every unit, (K, units) bool."""
    first = recordings.drop_duplicates("unit_id")
    return shadows.members.loc[first["id"]].to_numpy().T


@dataclass(frozen=True)
class _Rows:
    """Rows of recordings in tables that mostly share one index.

    Attributes:
        ids: recordings to read.
        index: index of the target's table.
        places: (ids,) int, row in that table; −1 if missing.
    """

    ids: pd.Index
    index: pd.Index
    places: np.ndarray

    @classmethod
    def locate(cls, index: pd.Index, ids: pd.Index) -> _Rows:
        return cls(ids, index, index.get_indexer(ids))

    def read(self, numbers: pd.DataFrame) -> np.ndarray:
        """Return (ids, d) float64; NaN for missing recordings."""
        places = self.places if numbers.index.equals(self.index) else numbers.index.get_indexer(self.ids)
        values = numbers.to_numpy(dtype=np.float64)[places]
        values[places < 0] = np.nan
        return values


def _unit_signals(
    model: str, numbers: pd.DataFrame, rows: _Rows, reference: Units, units: Sequence[Units]
) -> list[np.ndarray]:
    """Standardise a model's numbers and average them by unit.

    Args:
        model: name, for messages.
        numbers: (recordings, d), index = recording.
        rows: rows of all recordings.
        reference: recordings that define median and interquartile range.
        units: units of each table of recordings.

    Returns:
        (units, d) for each table.

    Raises:
        CannotRun: a number is not finite.
    """
    values = rows.read(numbers)
    used = np.concatenate([table.rows for table in units])
    invalid = used[~np.isfinite(values[used]).all(axis=1)]
    if len(invalid):
        ids = list_first([str(name) for name in rows.ids[invalid]])
        raise CannotRun(f"it needs finite signals, and {numbers.columns[0]} of {model} is not finite for {ids}")
    scaled = standardise(values, values[reference.rows])
    return [table.mean(scaled) for table in units]
