"""What a training set has besides its members: background, repetitions."""

import logging
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from lightning_mia.splits.sampling.membership import Inclusion, Purpose, stream
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import Range, Size

Background = Literal["none", "rest"] | Size
Exposures = list[Annotated[int, Range(1, 1000)]]

MIN_INDEPENDENT = 40
"""Fewest units for which coins are tossed: with 40, fewer than 4 members occur once in 80 million draws."""


logger = logging.getLogger(__name__)


def check_training_sets(n_units: int, exposures: Sequence[int] | None, inclusion: Inclusion) -> None:
    """Validate the options of a design that shape the training sets.

    Raises:
        InputError: too few units for independent inclusion, repeated exposures, or more groups of exposures
            than divide the members.
    """
    if inclusion == "independent" and n_units < MIN_INDEPENDENT:
        raise InputError(
            f"inclusion: independent needs n_units of at least {MIN_INDEPENDENT}, so that there are members and "
            f"non-members, but n_units is {n_units}; raise it, or use balanced"
        )
    if exposures is None:
        return
    if not exposures or len(set(exposures)) < len(exposures):
        raise InputError(f"exposures are {list(exposures)}: give different numbers, such as [1, 4, 16]")
    if n_units % unit_multiple(exposures):
        raise InputError(
            f"exposures {list(exposures)} do not divide the members: {n_units} units have {n_units // 2} members; give "
            f"n_units as a multiple of {unit_multiple(exposures)}"
        )


def unit_multiple(exposures: Sequence[int] | None) -> int:
    """Return the number that the number of challenge units is a multiple of.

    >>> unit_multiple(None), unit_multiple([1, 4, 16])
    (2, 6)
    """
    return 2 * len(exposures or [1])


def draw_exposures(
    units: pd.Series, exposures: Sequence[int] | None, generator: np.random.Generator
) -> pd.Series | None:
    """Divide units at random into equal groups, one for each number of exposures.

    Membership is drawn later, within the groups, so that each has members and non-members and redraws stay exact.

    Args:
        units: (units,) speaker of each challenge unit, in random order within speakers; their number is a multiple of
            the number of groups.
        exposures: numbers of exposures.
        generator: random generator.

    Returns:
        (units,) exposures with the index of `units`, spread evenly over speakers; None without exposures.
    """
    if exposures is None:
        return None
    order = units.sort_values(kind="stable").index
    groups = generator.permuted(np.tile(np.asarray(exposures), (len(units) // len(exposures), 1)), axis=1).ravel()
    return pd.Series(groups, index=order).reindex(units.index)


def add_background(
    rows: pd.DataFrame, remaining: pd.DataFrame, background: Background, where: str, seed: int
) -> pd.DataFrame:
    """Add the background to the recordings of a design.

    Args:
        rows: challenge and auxiliary recordings.
        remaining: recordings that may be used: `id`, `speaker`, `audio`.
        background: `rest`, all of them, or how many; `none`.
        where: what the recordings remain of, for messages.
        seed: seed of the split.

    Returns:
        `rows` with the column `background`, and the added rows.

    Raises:
        InputError: fewer recordings remain than asked for.
    """
    rows = rows.assign(background=False)
    if background in ("none", 0):
        return rows
    if isinstance(background, int):
        if background > len(remaining):
            raise InputError(
                f"{background} background recordings were asked for, but {len(remaining)} remain {where}; lower "
                "background, or give rest"
            )
        order = stream(seed, Purpose.BACKGROUND).permutation(len(remaining))
        remaining = remaining.iloc[np.sort(order[:background])]
    elif remaining.empty:
        logger.warning("The background is empty: no recordings remain %s", where)
    added = remaining[["id", "speaker", "audio"]].assign(unit=remaining["audio"], stratum="", part="", background=True)
    joined = pd.concat([rows, added], ignore_index=True)
    return joined.fillna({"exposures": 1}).astype({"exposures": int}) if "exposures" in joined else joined
