"""How many units a design gets: as asked for, shrunk to what the corpus has, spread over speakers."""

import logging
from bisect import bisect_right

import numpy as np

from lightning_mia.utilities.errors import InputError

MIN_UNITS_A_SIDE = 4
"""With fewer members or non-members nothing can be shown: at 4 + 4 the smallest p-value possible is 1/70."""

logger = logging.getLogger(__name__)


def check_asked(n_units: int, n_auxiliary: int) -> None:
    """Refuse sizes that no corpus can give.

    Raises:
        InputError: fewer than 4 + 4 challenge units, or fewer than no auxiliary units, are asked for.
    """
    if n_units < 2 * MIN_UNITS_A_SIDE:
        raise InputError(f"n_units must be at least {2 * MIN_UNITS_A_SIDE}, half of them IN, but is {n_units}")
    if n_auxiliary < 0:
        raise InputError(f"n_auxiliary must be 0 or more, but is {n_auxiliary}")


def shrink(asked: tuple[int, int], available: int, what: str) -> tuple[int, int]:
    """Shrink two sizes to what is available, in proportion; the first comes out even: half can be IN.

    Args:
        asked: challenge units and auxiliary units asked for.
        available: units that the corpus has.
        what: the name of such units in messages.

    Returns:
        Challenge units (at least 8, whatever the proportion) and auxiliary units.

    Raises:
        InputError: fewer than 8 units are available.

    >>> shrink((400, 200), 10_000, "utterances")
    (400, 200)
    >>> shrink((400, 200), 90, "utterances")
    (60, 30)
    """
    if available < 2 * MIN_UNITS_A_SIDE:
        raise InputError(
            f"The corpus has {available} usable {what}, but {MIN_UNITS_A_SIDE} members and "
            f"{MIN_UNITS_A_SIDE} non-members are the least; add recordings"
        )
    n_units, n_auxiliary = asked
    if sum(asked) <= available:
        return n_units // 2 * 2, n_auxiliary
    units = max(round(available * n_units / sum(asked)) // 2 * 2, 2 * MIN_UNITS_A_SIDE)
    return units, min(round(available * n_auxiliary / sum(asked)), available - units)


def warn_if_shrunk(asked: tuple[int, int], given: tuple[int, int], what: str) -> None:
    """Say in one line of the log that fewer challenge or auxiliary units are used than were asked for."""
    if given != asked:
        logger.warning(
            "%d challenge and %d auxiliary %s were asked for, but the corpus gives %d and %d",
            *(*asked, what, *given),
        )


def water_fill(capacities: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """Spread a total over speakers as evenly as their capacities allow.

    Args:
        capacities: (speakers,) int, the most that each speaker can give.
        total: at most the sum of the capacities.
        generator: decides which speakers give one more where the total does not divide.

    Returns:
        (speakers,) int with that total.

    >>> water_fill(np.array([2, 9, 9]), 10, np.random.default_rng(0))
    array([2, 4, 4])
    """
    level = bisect_right(range(total + 1), total, key=lambda height: np.minimum(capacities, height).sum()) - 1
    shares = np.minimum(capacities, level)
    if missing := total - shares.sum():
        shares[generator.choice(np.flatnonzero(capacities > level), size=missing, replace=False)] += 1
    return shares


def divide_in_proportion(total: int, shares: np.ndarray) -> np.ndarray:
    """Divide a total in proportion to shares, each part within one of its exact proportion.

    Args:
        total: what is divided; at most the sum of the shares.
        shares: (speakers,) int.

    Returns:
        (speakers,) int with that total, nowhere above `shares`.

    >>> divide_in_proportion(5, np.array([4, 4, 2]))
    array([2, 2, 1])
    """
    running = np.cumsum(shares)
    return np.diff((2 * running * total + running[-1]) // (2 * running[-1]), prepend=0)
