"""Random membership: half of every stratum is IN, or a coin decides for each unit."""

import math
from enum import IntEnum, unique
from typing import Literal

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError

Inclusion = Literal["balanced", "independent"]

MAX_LABELLINGS = 200_000
"""Number of labellings up to which redraws do not repeat: with 10 + 10 units there are 184,756. Of more labellings, a
thousand independent draws contain the observed one in less than .5 % of cases."""


@unique
class Purpose(IntEnum):
    """Purposes of random numbers, each with an independent stream.

    Redraws need their own stream: on that of the target, with the same seed, the first redraw would repeat the true
    labels.
    """

    PREPARE = 0
    TARGET = 1
    SHADOWS = 2
    REDRAW = 3
    POOL = 4
    BACKGROUND = 5
    EXPOSURES = 6


def stream(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """Create a generator determined by seed, purpose and index.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"The seed of a split must be 0 or more, but is {seed}; choose another")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), index)))


def permute_within_strata(labels: np.ndarray, strata: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Permute labels uniformly within every stratum, `n` times independently.

    Strata of equal size are permuted together, which makes thousands of small strata fast.

    Args:
        labels: (units,) bool.
        strata: (units,) stratum of each unit, of any sortable type.
        n: number of permutations.
        generator: random generator.

    Returns:
        (n, units) bool; in every stratum each row has as many True as `labels`.
    """
    codes = np.unique(strata, return_inverse=True)[1]
    by_stratum = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    permuted = np.empty((n, len(labels)), dtype=bool)
    for size in np.unique(sizes):
        columns = by_stratum[starts[sizes == size, None] + np.arange(size)]  # (strata of this size, size)
        repeated = np.broadcast_to(labels[columns], (n, *columns.shape))
        permuted[:, columns] = generator.permuted(repeated, axis=2)
    return permuted


def other_labellings(labels: np.ndarray, strata: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
    """Draw labellings other than the observed one.

    Labels are permuted uniformly within every stratum. If there are at most `MAX_LABELLINGS` labellings, all rows
    differ from each other and from `labels`, and if there are at most `n` others, each of them is returned. Drawing
    without replacement keeps the labellings exchangeable, so that p-values are exact, and no draw is wasted on a
    repetition of the observed labels: with 6 + 6 units, a thousand independent draws contain them once on average.

    Args:
        labels: (units,) bool, the observed labels.
        strata: (units,) stratum of each unit, of any sortable type.
        n: maximum number of labellings.
        generator: random generator; it determines the order of the rows even if all labellings are returned.

    Returns:
        (at most n, units) bool; one row, equal to `labels`, if no other labelling exists.

    >>> other_labellings(np.array([True, False, False]), np.zeros(3), 1000, np.random.default_rng(0)).astype(int)
    array([[0, 0, 1],
           [0, 1, 0]])
    """
    n_labellings = count_labellings(labels, strata)
    if n_labellings > MAX_LABELLINGS:
        return permute_within_strata(labels, strata, n, generator)
    if n_labellings == 1:
        return labels[None].copy()
    numbers = generator.choice(n_labellings, size=min(n + 1, n_labellings), replace=False)
    drawn = _numbered_labellings(labels, strata, numbers)
    return drawn[(drawn != labels).any(axis=1)][:n]


def count_labellings(labels: np.ndarray, strata: np.ndarray) -> int:
    """Count the distinct permutations of labels within strata.

    >>> count_labellings(np.arange(12) < 6, np.zeros(12))
    924
    """
    return math.prod(math.comb(len(stratum), int(stratum.sum())) for stratum in _by_stratum(labels, strata))


def draw_half(strata: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw half of every stratum, uniformly at random.

    Args:
        strata: (units,) stratum of each unit; every stratum has an even number of units.
        generator: random generator.

    Returns:
        (units,) bool: IN.
    """
    labels = np.empty(len(strata), dtype=bool)
    labels[np.argsort(strata, kind="stable")] = np.arange(len(strata)) % 2 == 1  # alternating in every stratum
    return permute_within_strata(labels, strata, 1, generator)[0]


def toss_coins(n_units: int, n: int, generator: np.random.Generator) -> np.ndarray:
    """Toss a fair coin for every unit, `n` times independently.

    Args:
        n_units: number of units.
        n: number of labellings.
        generator: random generator.

    Returns:
        (n, units) bool: IN.
    """
    return generator.integers(2, size=(n, n_units), dtype=np.int8).astype(bool)


def draw_models(
    strata: np.ndarray, n_shadows: int, seed: int, inclusion: Inclusion = "balanced"
) -> dict[str, np.ndarray]:
    """Draw the members of every model.

    Shadow models 2k and 2k + 1 are complementary: every unit is IN for exactly one of the two. Each pair follows the
    target's distribution, independently of the target and of the other pairs, and depends on (`seed`, k) alone: more
    shadow models do not change the first ones. An odd last shadow model is the first of its pair.

    Args:
        strata: (units,) stratum of each unit; if balanced, every stratum has an even number of units.
        n_shadows: number of shadow models.
        seed: seed of the split.
        inclusion: half of every stratum is IN, or a fair coin decides for each unit.

    Returns:
        (units,) bool per model, keyed by `target`, `shadow_000`, `shadow_001`, ….
    """

    def draw(generator: np.random.Generator) -> np.ndarray:
        return draw_half(strata, generator) if inclusion == "balanced" else toss_coins(len(strata), 1, generator)[0]

    models = {"target": draw(stream(seed, Purpose.TARGET))}
    for shadow in range(0, n_shadows, 2):
        first = draw(stream(seed, Purpose.SHADOWS, shadow // 2))
        models[f"shadow_{shadow:03d}"] = first
        if shadow + 1 < n_shadows:
            models[f"shadow_{shadow + 1:03d}"] = ~first
    return models


def assign_membership(rows: pd.DataFrame, n_shadows: int, seed: int, inclusion: Inclusion = "balanced") -> pd.DataFrame:
    """Draw all members, and derive the table of a split.

    Args:
        rows: recordings with `id`, `speaker`, `unit`, `stratum`, `part`, `audio` and `background` (bool), and possibly
            `exposures`; `stratum` and `part` are "" for auxiliary and background recordings.
        n_shadows: number of shadow models.
        seed: seed of the split.
        inclusion: half of every stratum is IN, or a fair coin decides for each unit.

    Returns:
        The table of a `Split`, sorted by id.
    """
    rows = rows.sort_values("id", ignore_index=True)
    is_challenge = rows["part"] != ""
    units = rows[is_challenge].drop_duplicates("unit").sort_values("unit")
    models = draw_models(units["stratum"].to_numpy(), n_shadows, seed, inclusion)
    position = pd.Index(units["unit"]).get_indexer(rows["unit"][is_challenge])  # (challenge rows,)
    membership = np.repeat(rows["background"].to_numpy(dtype=bool)[:, None], len(models), axis=1)  # (rows, models)
    membership[is_challenge.to_numpy()] = np.column_stack(list(models.values()))[position]
    columns = pd.DataFrame(membership, index=rows.index, columns=list(models))
    role = np.where(is_challenge, np.where(columns["target"], "member", "nonmember"), "auxiliary")
    role = np.where(columns["target"] & (rows["part"] == "held_back"), "held_back", role)
    role = np.where(rows["background"], "background", role)
    leading = rows[["id", "speaker"]].assign(role=role, trained=np.isin(role, ("member", "background")))
    trailing = [name for name in ("unit", "stratum", "part", "audio", "exposures") if name in rows]
    return pd.concat([leading, columns, rows[trailing]], axis=1)


def _by_stratum(values: np.ndarray, strata: np.ndarray) -> list[np.ndarray]:
    codes = np.unique(strata, return_inverse=True)[1]
    return np.split(values[np.argsort(codes, kind="stable")], np.cumsum(np.bincount(codes))[:-1])


def _numbered_labellings(labels: np.ndarray, strata: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the labellings with the given numbers, (n, units) bool.

    A number is read digit by digit, one digit per stratum; the digit is the rank of a combination of IN units in
    lexicographic order.
    """
    from scipy.special import comb

    result = np.empty((len(numbers), len(labels)), dtype=bool)
    for units in _by_stratum(np.arange(len(labels)), strata):
        n_left = np.full(len(numbers), labels[units].sum())  # units still to be IN
        numbers, rank = np.divmod(numbers, math.comb(len(units), int(n_left[0])))
        for position, unit in enumerate(units):
            n_with = comb(len(units) - position - 1, n_left - 1).astype(np.int64)  # combinations with this unit IN
            result[:, unit] = rank < n_with
            rank = np.where(result[:, unit], rank, rank - n_with)
            n_left = n_left - result[:, unit]
    return result
