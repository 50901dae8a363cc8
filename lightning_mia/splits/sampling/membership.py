"""Random membership: half of every stratum is IN."""

from enum import IntEnum, unique

import numpy as np
import pandas as pd

from lightning_mia.utilities.errors import InputError


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


def draw_models(strata: np.ndarray, n_shadows: int, seed: int) -> dict[str, np.ndarray]:
    """Draw the members of every model.

    Shadow models 2k and 2k + 1 are complementary: every unit is IN for exactly one of the two. Each pair follows the
    target's distribution, independently of the target and of the other pairs, and depends on (`seed`, k) alone: more
    shadow models do not change the first ones. An odd last shadow model is the first of its pair.

    Args:
        strata: (units,) stratum of each unit; every stratum has an even number of units.
        n_shadows: number of shadow models.
        seed: seed of the split.

    Returns:
        (units,) bool per model, keyed by `target`, `shadow_000`, `shadow_001`, ….
    """
    models = {"target": draw_half(strata, stream(seed, Purpose.TARGET))}
    for shadow in range(0, n_shadows, 2):
        first = draw_half(strata, stream(seed, Purpose.SHADOWS, shadow // 2))
        models[f"shadow_{shadow:03d}"] = first
        if shadow + 1 < n_shadows:
            models[f"shadow_{shadow + 1:03d}"] = ~first
    return models


def assign_membership(rows: pd.DataFrame, n_shadows: int, seed: int) -> pd.DataFrame:
    """Draw all members, and derive the table of a split.

    Args:
        rows: recordings with `id`, `speaker`, `unit`, `stratum`, `part` and `audio`; `stratum` and `part` are "" for
            auxiliary recordings.
        n_shadows: number of shadow models.
        seed: seed of the split.

    Returns:
        The table of a `Split`, sorted by id.
    """
    rows = rows.sort_values("id", ignore_index=True)
    is_challenge = rows["part"] != ""
    units = rows[is_challenge].drop_duplicates("unit").sort_values("unit")
    models = draw_models(units["stratum"].to_numpy(), n_shadows, seed)
    position = pd.Index(units["unit"]).get_indexer(rows["unit"][is_challenge])  # (challenge rows,)
    membership = pd.DataFrame(False, index=rows.index, columns=list(models))
    membership.loc[is_challenge, :] = np.column_stack(list(models.values()))[position]
    role = np.where(is_challenge, np.where(membership["target"], "member", "nonmember"), "auxiliary")
    role = np.where(membership["target"] & (rows["part"] == "held_back"), "held_back", role)
    leading = rows[["id", "speaker"]].assign(role=role, trained=role == "member")
    return pd.concat([leading, membership, rows[["unit", "stratum", "part", "audio"]]], axis=1)
