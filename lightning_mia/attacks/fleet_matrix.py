"""A signal of the target and of all shadow models, unit by unit, ready to be compared."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Evidence
from lightning_mia.attacks.cannot_run import CannotRun
from lightning_mia.attacks.scalar_signal import ScalarSignal
from lightning_mia.attacks.shadows import Shadows
from lightning_mia.errors import list_first


@dataclass(frozen=True)
class FleetMatrix:
    """One signal (or several jointly, d numbers) of n units under the target and K shadow models.

    Every model's numbers are centred by its median over the challenge set and scaled by its interquartile range: no
    label is used. A unit of several recordings has their mean.

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


def fleet_matrix(evidence: Evidence, signal: ScalarSignal) -> FleetMatrix:
    """Read a signal of every model.

    Args:
        evidence: with shadow models.
        signal: what is read.

    Raises:
        CannotRun: there are no shadow models, or a number of a model is not finite.
    """
    shadows = evidence.shadows
    if shadows is None or len(shadows) == 0:
        raise CannotRun("it needs shadow models")
    challenge, pool = evidence.challenge, shadows.pool
    auxiliary = evidence.auxiliary["id"][evidence.auxiliary["id"].isin(evidence.target.scalars.index)]
    read = {str(name): signal.read(one) for name, one in zip(shadows.members, shadows.signals, strict=True)}
    target = _standardised("the target", signal.read(evidence.target), challenge, auxiliary)
    in_turn = [_standardised(name, numbers, challenge, auxiliary, pool) for name, numbers in read.items()]
    of_shadows, of_auxiliary, of_pool = (np.stack(models) for models in zip(*in_turn, strict=True))
    members = np.zeros(of_shadows.shape[:2], dtype=bool) if pool is not None else _members(shadows, challenge)
    return FleetMatrix(
        units=pd.Index(challenge["unit_id"].unique()),
        target=target[0],
        shadows=of_shadows,
        members=members,
        auxiliary_target=target[1],
        auxiliary_shadows=of_auxiliary,
        pairs=shadows.pairs,
        learning_shadows=of_shadows if pool is None else of_pool,
        learning_members=members if pool is None else _members(shadows, pool),
    )


def _members(shadows: Shadows, recordings: pd.DataFrame) -> np.ndarray:
    """(K, units) bool; all recordings of a unit say the same."""
    first = recordings.drop_duplicates("unit_id")
    return shadows.members.loc[first["id"]].to_numpy().T


def _standardised(
    model: str,
    numbers: pd.DataFrame,
    challenge: pd.DataFrame,
    auxiliary: pd.Series,
    pool: pd.DataFrame | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The model's numbers of the units (n, d), of the auxiliary recordings (a, d) and of the pool's units (m, d)."""
    tables = [challenge, pd.DataFrame({"id": auxiliary, "unit_id": auxiliary}), *([] if pool is None else [pool])]
    raw = [numbers.loc[table["id"]] for table in tables]
    for values in raw:
        _check_finite(model, values)
    centre = np.median(raw[0], axis=0)
    low, high = np.percentile(raw[0], [25, 75], axis=0)
    scaled = [(values.to_numpy(dtype=np.float64) - centre) / np.where(high > low, high - low, 1.0) for values in raw]
    units = [_by_unit(values, table["unit_id"]) for values, table in zip(scaled, tables, strict=True)]
    return units[0], units[1], units[2] if pool is not None else units[0][:0]


def _by_unit(values: np.ndarray, units: pd.Series) -> np.ndarray:
    """Mean over the recordings of a unit, units in the order in which they first come."""
    codes, names = pd.factorize(units)
    if len(names) == len(codes):
        return values
    return pd.DataFrame(values).groupby(codes, sort=False).mean().to_numpy()


def _check_finite(model: str, values: pd.DataFrame) -> None:
    """Name the model and the utterances that a signal failed on.

    Raises:
        CannotRun: a number is not finite.
    """
    bad = ~np.isfinite(values.to_numpy(dtype=np.float64)).all(axis=1)
    if bad.any():
        named = list_first([str(name) for name in values.index[bad]])
        raise CannotRun(f"it needs finite signals, and {values.columns[0]} of {model} is not for {named}")
