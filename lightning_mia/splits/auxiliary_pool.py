"""A fleet that never saw a challenge unit: its shadow models are drawn from a pool of auxiliary recordings."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.membership import Purpose, draw_models, stream
from lightning_mia.splits.split import Split
from lightning_mia.utilities.errors import InputError

Pool = Literal["challenge", "auxiliary"]
MIN_LEFT = 10
"""Auxiliary units that must be left to the adversary for what may not have been trained on."""


def with_pool(split: Split, n_shadows: int, seed: int) -> Split:
    """Take a pool from the auxiliary units, twice as many as the target trains on, and draw shadow models from it.

    The recordings of the pool keep the role `auxiliary`; those of a shadow model's half have a 1 in its column. At
    utterance level recordings that there are two of stay out of the pool: every shadow model trains on exactly as
    many recordings as the target.

    Args:
        split: without shadow models.
        n_shadows: number of shadow models, in complementary pairs.
        seed: of the split.

    Raises:
        InputError: too few auxiliary units.
    """
    table = split.table
    trained = table[table["trained"]]
    half = len(trained) if split.level == "utterance" else int(trained["unit"].nunique())
    auxiliary = table[table["role"] == "auxiliary"]
    sizes = auxiliary.groupby("unit").size()
    units = np.sort(sizes.index[sizes == 1].to_numpy() if split.level == "utterance" else sizes.index.to_numpy())
    needed = 2 * half + MIN_LEFT
    if len(units) < needed:
        raise InputError(
            f"A fleet that never saw a challenge unit is drawn from {2 * half} auxiliary units, and {MIN_LEFT} "
            f"must be left, but there are {len(units)}: raise data.design.n_auxiliary to {needed}, lower "
            "data.design.n_units, or give --fleet.pool challenge"
        )
    pool = stream(seed, Purpose.POOL).permutation(units)[: 2 * half]
    models = draw_models(np.zeros(len(pool), dtype=int), n_shadows, seed)
    of_unit = pd.DataFrame(models, index=pool).drop(columns="target")
    columns = of_unit.reindex(table["unit"], fill_value=False)
    columns.loc[(table["role"] != "auxiliary").to_numpy()] = False
    place = list(table.columns).index("target") + 1
    joined = pd.concat([table.iloc[:, :place], columns.set_axis(table.index), table.iloc[:, place:]], axis=1)
    return replace(split, table=joined)
