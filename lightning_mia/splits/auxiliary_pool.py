"""Shadow models trained on auxiliary recordings only."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.membership import Purpose, draw_models, stream
from lightning_mia.splits.split import EXPOSURES, Split
from lightning_mia.utilities.errors import InputError

Pool = Literal["challenge", "auxiliary"]
MIN_AUXILIARY = 10
"""Auxiliary units that must remain outside the pool, for uses that require recordings in no training set."""
MIN_REMAINING, MIN_HALF = 20, 8
"""The same for a user-supplied split, and the fewest units that one of its shadow models is trained on."""


def draw_from_pool(split: Split, n_shadows: int, seed: int) -> Split:
    """Draw shadow models' members from a pool of auxiliary units.

    The pool has twice as many units as the target is trained on, and each shadow model is trained on half of it. For a
    user-supplied split, whose target may have been trained on more than the split lists, the pool has four fifths of
    the auxiliary units. Its recordings keep the role `auxiliary`; the column of a shadow model marks those of its
    units. At utterance level, recordings with copies are not in the pool, so that all shadow models are trained on
    equally many recordings.

    Args:
        split: split without shadow models.
        n_shadows: number of shadow models, in complementary pairs.
        seed: seed of the split.

    Raises:
        InputError: too few auxiliary units, or the members are trained on several times an epoch.
    """
    if EXPOSURES in split.table:
        raise InputError(
            "Shadow models without challenge units see each recording once an epoch, unlike a target with exposures: "
            "leave out data.design.exposures, or give --fleet.pool challenge"
        )
    table = split.table
    auxiliary = table[table["role"] == "auxiliary"]
    sizes = auxiliary.groupby(split.pool_unit).size()
    units = np.sort(sizes.index[sizes == 1].to_numpy() if split.level == "utterance" else sizes.index.to_numpy())
    half = _half_of_drawn(split, len(units)) if split.drawn else _half_of_user_supplied(len(units))
    pool = stream(seed, Purpose.POOL).permutation(units)[: 2 * half]
    models = draw_models(np.zeros(len(pool), dtype=int), n_shadows, seed)
    membership = pd.DataFrame(models, index=pool).drop(columns="target")
    columns = membership.reindex(table[split.pool_unit], fill_value=False)
    columns.loc[(table["role"] != "auxiliary").to_numpy()] = False
    columns.loc[(table["role"] == "background").to_numpy()] = True
    position = list(table.columns).index("target") + 1
    joined = pd.concat([table.iloc[:, :position], columns.set_axis(table.index), table.iloc[:, position:]], axis=1)
    return replace(split, table=joined)


def _half_of_drawn(split: Split, n_units: int) -> int:
    """Count the units that a shadow model is trained on: as many as the target."""
    trained = split.table[split.table["part"] == "trained"]
    half = split.n_members_trained if split.level == "utterance" else trained["unit"].nunique() // 2
    needed = 2 * half + MIN_AUXILIARY
    if n_units < needed:
        raise InputError(
            f"Shadow models without challenge units need {2 * half} auxiliary units, and {MIN_AUXILIARY} must remain, "
            f"but there are {n_units}: raise data.design.n_auxiliary to {needed}, lower data.design.n_units, or "
            "give --fleet.pool challenge"
        )
    return half


def _half_of_user_supplied(n_units: int) -> int:
    """Count the same where nobody drew the members.

    >>> _half_of_user_supplied(200), _half_of_user_supplied(36)
    (80, 8)
    """
    needed = 2 * MIN_HALF + MIN_REMAINING
    if n_units < needed:
        raise InputError(
            f"Shadow models of a user-supplied split are trained on auxiliary recordings, and need {needed} or more "
            f"units, but there are {n_units}: add recordings with an empty value in column member, which no model was "
            "trained on, or give --fleet.size 0"
        )
    return (n_units - max(MIN_REMAINING, n_units // 5)) // 2
