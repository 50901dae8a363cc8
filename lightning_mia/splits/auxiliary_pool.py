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


def draw_from_pool(split: Split, n_shadows: int, seed: int) -> Split:
    """Draw shadow models' members from a pool of auxiliary units.

    The pool has twice as many units as the target is trained on, and each shadow model is trained on half of it. Its
    recordings keep the role `auxiliary`; the column of a shadow model marks those of its units. At utterance level,
    recordings with copies are not in the pool, so that every shadow model is trained on as many recordings as the
    target.

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
    trained = table[table["part"] == "trained"]
    half = split.n_members_trained if split.level == "utterance" else trained["unit"].nunique() // 2
    auxiliary = table[table["role"] == "auxiliary"]
    sizes = auxiliary.groupby("unit").size()
    units = np.sort(sizes.index[sizes == 1].to_numpy() if split.level == "utterance" else sizes.index.to_numpy())
    needed = 2 * half + MIN_AUXILIARY
    if len(units) < needed:
        raise InputError(
            f"Shadow models without challenge units need {2 * half} auxiliary units, and {MIN_AUXILIARY} must remain, "
            f"but there are {len(units)}: raise data.design.n_auxiliary to {needed}, lower data.design.n_units, or "
            "give --fleet.pool challenge"
        )
    pool = stream(seed, Purpose.POOL).permutation(units)[: 2 * half]
    models = draw_models(np.zeros(len(pool), dtype=int), n_shadows, seed)
    membership = pd.DataFrame(models, index=pool).drop(columns="target")
    columns = membership.reindex(table["unit"], fill_value=False)
    columns.loc[(table["role"] != "auxiliary").to_numpy()] = False
    columns.loc[(table["role"] == "background").to_numpy()] = True
    position = list(table.columns).index("target") + 1
    joined = pd.concat([table.iloc[:, :position], columns.set_axis(table.index), table.iloc[:, position:]], axis=1)
    return replace(split, table=joined)
