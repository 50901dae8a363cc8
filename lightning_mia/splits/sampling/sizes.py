"""Number of units, and their spread over speakers."""

import logging
from bisect import bisect_right

import numpy as np

from lightning_mia.utilities.errors import InputError

MIN_UNITS_PER_CLASS = 4
"""Minimum number of members and of non-members: with 4 + 4 the smallest possible p-value is 1/70."""

logger = logging.getLogger(__name__)


def check_sizes(n_units: int, n_auxiliary: int) -> None:
    """Validate requested sizes.

    Raises:
        InputError: fewer than 4 + 4 challenge units, or a negative number of auxiliary units.
    """
    if n_units < 2 * MIN_UNITS_PER_CLASS:
        raise InputError(f"n_units must be at least {2 * MIN_UNITS_PER_CLASS}, half of them IN, but is {n_units}")
    if n_auxiliary < 0:
        raise InputError(f"n_auxiliary must be 0 or more, but is {n_auxiliary}")


def shrink(
    requested: tuple[int, int], available: int, units: str, multiple: int = 2, minimum: int = 2 * MIN_UNITS_PER_CLASS
) -> tuple[int, int]:
    """Reduce two sizes in proportion to the available units.

    Args:
        requested: challenge units and auxiliary units.
        available: units of the corpus.
        units: name of the units in messages.
        multiple: the challenge units are a multiple of it.
        minimum: smallest number of challenge units, even if the proportion gives fewer.

    Returns:
        Challenge units and auxiliary units.

    Raises:
        InputError: too few units are available.

    >>> shrink((400, 200), 10_000, "utterances")
    (400, 200)
    >>> shrink((400, 200), 90, "utterances")
    (60, 30)
    """
    minimum = -(-minimum // multiple) * multiple
    if available < minimum:
        raise InputError(
            f"The corpus has {available} usable {units}, but at least {minimum // 2} members and {minimum // 2} "
            "non-members are needed; add recordings"
        )
    n_units, n_auxiliary = requested
    if sum(requested) <= available:
        return n_units // multiple * multiple, n_auxiliary
    n_challenge = max(round(available * n_units / sum(requested)) // multiple * multiple, minimum)
    return n_challenge, min(round(available * n_auxiliary / sum(requested)), available - n_challenge)


def warn_if_shrunk(requested: tuple[int, int], sizes: tuple[int, int], units: str) -> None:
    """Log a warning if sizes were reduced."""
    if sizes != requested:
        logger.warning(
            "%d challenge and %d auxiliary %s were requested, but the corpus has %d and %d",
            *(*requested, units, *sizes),
        )


def water_fill(capacities: np.ndarray, total: int, generator: np.random.Generator) -> np.ndarray:
    """Spread a total evenly over speakers, within their capacities.

    Args:
        capacities: (speakers,) int, maximum of each speaker.
        total: at most the sum of the capacities.
        generator: random generator; it chooses the speakers that receive the remainder.

    Returns:
        (speakers,) int with that total.

    >>> water_fill(np.array([2, 9, 9]), 10, np.random.default_rng(0))
    array([2, 4, 4])
    """
    level = bisect_right(range(total + 1), total, key=lambda height: np.minimum(capacities, height).sum()) - 1
    shares = np.minimum(capacities, level)
    if remainder := total - shares.sum():
        shares[generator.choice(np.flatnonzero(capacities > level), size=remainder, replace=False)] += 1
    return shares


def divide_proportionally(total: int, shares: np.ndarray) -> np.ndarray:
    """Divide a total in proportion to shares.

    Each part is within one of its exact proportion.

    Args:
        total: at most the sum of the shares.
        shares: (speakers,) int.

    Returns:
        (speakers,) int with that total, at most `shares`.

    >>> divide_proportionally(5, np.array([4, 4, 2]))
    array([2, 2, 1])
    """
    running = np.cumsum(shares)
    return np.diff((2 * running * total + running[-1]) // (2 * running[-1]), prepend=0)
