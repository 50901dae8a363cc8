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
"""The same for a target that was trained elsewhere, and the fewest units that a shadow model of it is trained on."""


def draw_from_pool(split: Split, n_shadows: int, seed: int, like_target: bool | None = None) -> Split:
    """Draw shadow models' members from a pool of auxiliary units.

    The pool has twice as many units as the target is trained on, and each shadow model is trained on half of it, and on
    the background. For a target that was trained elsewhere, the pool has four fifths of the auxiliary units, and there
    is no background. Recordings of the pool keep the role `auxiliary`; the column of a shadow model marks those of its
    units. At utterance level, recordings with copies are not in the pool, so that all shadow models are trained on
    equally many recordings.

    Args:
        split: split without shadow models.
        n_shadows: number of shadow models, in complementary pairs.
        seed: seed of the split.
        like_target: whether shadow models are trained like the target, which is trained here; None: if the split is
            drawn.

    Raises:
        InputError: too few auxiliary units, or the members are trained on several times an epoch.
    """
    like_target = split.drawn if like_target is None else like_target
    if like_target and EXPOSURES in split.table:
        raise InputError(
            "Shadow models without challenge units see each recording once an epoch, unlike a target with exposures: "
            "leave out data.design.exposures, or give --fleet.pool challenge"
        )
    table = split.table
    auxiliary = table[table["role"] == "auxiliary"]
    sizes = auxiliary.groupby(split.pool_unit).size()
    units = np.sort(sizes.index[sizes == 1].to_numpy() if split.level == "utterance" else sizes.index.to_numpy())
    half = _half_like_target(split, len(units)) if like_target else _half_of_auxiliary(len(units))
    pool = stream(seed, Purpose.POOL).permutation(units)[: 2 * half]
    models = draw_models(np.zeros(len(pool), dtype=int), n_shadows, seed)
    membership = pd.DataFrame(models, index=pool).drop(columns="target")
    columns = membership.reindex(table[split.pool_unit], fill_value=False)
    columns.loc[(table["role"] != "auxiliary").to_numpy()] = False
    columns.loc[(table["role"] == "background").to_numpy()] = like_target
    position = list(table.columns).index("target") + 1
    joined = pd.concat([table.iloc[:, :position], columns.set_axis(table.index), table.iloc[:, position:]], axis=1)
    return replace(split, table=joined)


def _half_like_target(split: Split, n_units: int) -> int:
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


def _half_of_auxiliary(n_units: int) -> int:
    """Count the same for a target that was trained elsewhere.

    >>> _half_of_auxiliary(200), _half_of_auxiliary(36)
    (80, 8)
    """
    needed = 2 * MIN_HALF + MIN_REMAINING
    if n_units < needed:
        raise InputError(
            "Shadow models of a model that was trained elsewhere are trained on auxiliary recordings, and need "
            f"{needed} or more units, but there are {n_units}: add recordings that no model was trained on (an empty "
            "value in column member, or `lightning-mia split --n_auxiliary`), or give --fleet.size 0"
        )
    return (n_units - max(MIN_REMAINING, n_units // 5)) // 2
