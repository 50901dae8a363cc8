"""A signal of the target and of all shadow models, unit by unit, ready to be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import CannotRun, Evidence, ShadowModels
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.utilities.errors import list_first

SUFFICIENT_AUXILIARY = 20


@dataclass(frozen=True)
class SignalMatrix:
    """One signal (or several jointly, d numbers) of n units under the target and K shadow models.

    Every model's numbers are centred by its median over the challenge set and scaled by its interquartile range: no
    label is used. A unit of several recordings has their mean.

    Half of the challenge set is IN for every model, the target included. In a fleet that never saw it, it is OUT for
    the shadow models, and standardising by it would scale the target alone by what membership does: auxiliary
    recordings take its place, which are OUT for all (from 20 of them on).

    Attributes:
        units: (n,) names.
        target: (n, d) float64.
        shadows: (K, n, d) float64.
        members: (K, n) bool: the unit is IN for the shadow model.
        auxiliary_target: (a, d), the same for recordings that no model was trained on, one a row.
        auxiliary_shadows: (K, a, d).
        pairs: (K,) int, the complementary pair of each shadow model.
        learning_shadows: (K, m, d), the units of which it is known that some shadow models are IN: what holds for
            all units, such as the sign of the signal, is learned from them. They are the challenge units, or, for a
            fleet that never saw these, the units of its pool.
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


def signal_matrix(evidence: Evidence, signal: ScalarSignal) -> SignalMatrix:
    """Read a signal of every model; attacks on one signal that follow each other share what is read.

    Args:
        evidence: with shadow models.
        signal: what is read.

    Raises:
        CannotRun: there are no shadow models, or a number of a model is not finite.
    """
    if not evidence.last_matrix or evidence.last_matrix[0][0] != signal:
        evidence.last_matrix[:] = [(signal, _read(evidence, signal))]
    return evidence.last_matrix[0][1]


def _read(evidence: Evidence, signal: ScalarSignal) -> SignalMatrix:
    shadows = evidence.shadows
    if shadows is None or len(shadows) == 0:
        raise CannotRun("it needs shadow models")
    challenge, pool = evidence.challenge, shadows.pool
    auxiliary = evidence.auxiliary["id"]
    auxiliary = auxiliary[evidence.target.scalars.index.get_indexer(pd.Index(auxiliary)) >= 0]  # those that were asked
    asked = [challenge, pd.DataFrame({"id": auxiliary, "unit_id": auxiliary}), *([] if pool is None else [pool])]
    ids = pd.Index(pd.concat([recordings["id"] for recordings in asked]).unique())
    units = [_Units.of(recordings, ids) for recordings in asked]
    by = units[1] if pool is not None and len(auxiliary) >= SUFFICIENT_AUXILIARY else units[0]
    order = _Order.of(evidence.target.scalars.index, ids)
    target = _standardised("the target", signal.read(evidence.target), order, by, units[:2])
    in_turn = [
        _standardised(str(name), signal.read(one), order, by, units)
        for name, one in zip(shadows.members, shadows.signals, strict=True)
    ]
    of_shadows, of_auxiliary, *of_pool = (np.stack(models) for models in zip(*in_turn, strict=True))
    members = np.zeros(of_shadows.shape[:2], dtype=bool) if pool is not None else _members(shadows, challenge)
    return SignalMatrix(
        units=units[0].names,
        target=target[0],
        shadows=of_shadows,
        members=members,
        auxiliary_target=target[1],
        auxiliary_shadows=of_auxiliary,
        pairs=shadows.pairs,
        learning_shadows=of_shadows if pool is None else of_pool[0],
        learning_members=members if pool is None else _members(shadows, pool),
    )


def _members(shadows: ShadowModels, recordings: pd.DataFrame) -> np.ndarray:
    """(K, units) bool; all recordings of a unit say the same."""
    first = recordings.drop_duplicates("unit_id")
    return shadows.members.loc[first["id"]].to_numpy().T


@dataclass(frozen=True)
class _Units:
    """A table of recordings, and which of them make up a unit; units in the order in which they first come.

    Attributes:
        names: (units,).
        rows: (recordings,) int, where the recordings stand among all that are read.
        codes: (recordings,) int, the place of each one's unit.
    """

    names: pd.Index
    rows: np.ndarray
    codes: np.ndarray

    @staticmethod
    def of(recordings: pd.DataFrame, ids: pd.Index) -> "_Units":
        codes, names = pd.factorize(recordings["unit_id"])
        return _Units(pd.Index(names), ids.get_indexer(pd.Index(recordings["id"])), codes)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """(ids, d) → (units, d), the mean over a unit's recordings."""
        if len(self.names) == len(self.codes):
            return values[self.rows]
        total = np.zeros((len(self.names), values.shape[1]))
        np.add.at(total, self.codes, values[self.rows])
        return total / np.bincount(self.codes, minlength=len(self.names))[:, None]


@dataclass(frozen=True)
class _Order:
    """The order in which recordings are read of every model, whose tables mostly have one index.

    Attributes:
        ids: the recordings.
        index: of the tables.
        places: (ids,) int, where each stands in such an index; -1: not at all.
    """

    ids: pd.Index
    index: pd.Index
    places: np.ndarray

    @staticmethod
    def of(index: pd.Index, ids: pd.Index) -> "_Order":
        return _Order(ids, index, index.get_indexer(ids))

    def apply(self, numbers: pd.DataFrame) -> np.ndarray:
        """(ids, d) float64; NaN for a recording without numbers."""
        places = self.places if numbers.index.equals(self.index) else numbers.index.get_indexer(self.ids)
        values = numbers.to_numpy(dtype=np.float64)[places]
        values[places < 0] = np.nan
        return values


def _standardised(
    model: str, numbers: pd.DataFrame, order: _Order, by: _Units, units: Sequence[_Units]
) -> list[np.ndarray]:
    """The model's numbers of the units of every table of recordings: (units, d) each.

    Args:
        model: its name, for messages.
        numbers: (recordings, d), index = recording.
        order: of the recordings that are read, of all tables.
        by: recordings over which the median and the interquartile range are taken.
        units: those of every table.

    Raises:
        CannotRun: a number is not finite.
    """
    values = order.apply(numbers)
    read = np.concatenate([one.rows for one in units])
    bad = read[~np.isfinite(values[read]).all(axis=1)]
    if len(bad):
        named = list_first([str(name) for name in order.ids[bad]])
        raise CannotRun(f"it needs finite signals, and {numbers.columns[0]} of {model} is not for {named}")
    low, centre, high = np.percentile(values[by.rows], [25, 50, 75], axis=0)
    scaled = (values - centre) / np.where(high > low, high - low, 1.0)
    return [one.mean(scaled) for one in units]
