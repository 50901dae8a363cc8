"""Size of the p-value of `evaluate` on arrays without a leak.

    python -m tools.array_null [ARRAYS]

Units of a group resemble each other strongly. Membership is drawn, regardless of the scores, in several ways; prints
the share of p-values of at most .05, with groups and as if all units were independent.
"""

import sys

import numpy as np

from lightning_mia.audit.score_evaluation import array_split
from lightning_mia.evaluation.statistics.auroc import auroc, labelled_aurocs

WAYS = ("groups", "coins", "units", "within", "mixed")
SIZES = {"24 groups of 5": (24, 5, 5), "24 groups of 1 to 9": (24, 1, 9), "40 pairs": (40, 2, 2)}
N_REDRAWS = 300


def draw_members(way: str, groups: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the members, (n,) bool.

    Args:
        way: whole groups, a coin for each unit, a fixed number of units, a share within every group; or mixed: every
            second group as a whole, coins in the others.
        groups: (n,) int.
        share: of members.
        rng: random generator.
    """
    n, n_groups = len(groups), groups.max() + 1
    if way == "coins":
        return rng.random(n) < share
    if way == "units":
        return rng.permutation(np.arange(n) < round(share * n))
    if way == "within":
        rows = [np.sum(groups == group) for group in range(n_groups)]
        return np.concatenate([rng.permutation(np.arange(size) < round(share * size)) for size in rows])
    whole = rng.permutation(np.arange(n_groups) < max(2, round(share * n_groups)))[groups]
    return whole if way == "groups" else np.where(groups % 2 == 0, whole, rng.random(n) < share)


def p_value(values: np.ndarray, members: np.ndarray, groups: np.ndarray | None, seed: int) -> float:
    """Compute the p-value of `evaluate`, without its intervals."""
    split = array_split(members, groups)
    redrawn = split.redraw(split.table["id"].tolist(), "utterance", N_REDRAWS, seed)
    n_above = np.sum(labelled_aurocs(values, redrawn) >= auroc(values, members) - 1e-9)
    return float((1 + n_above) / (1 + len(redrawn)))


def main(n_arrays: int) -> None:
    """Print a row for each size of the groups, way and share of members."""
    for name, (n_groups, smallest, largest) in SIZES.items():
        for way in WAYS:
            for share in (0.5, 0.2):
                significant = []
                for seed in range(n_arrays):
                    rng = np.random.default_rng([seed, 7])
                    groups = np.repeat(np.arange(n_groups), rng.integers(smallest, largest + 1, n_groups))
                    members = draw_members(way, groups, share, rng)
                    if min(members.sum(), (~members).sum()) < 4:
                        continue
                    values = 2 * rng.normal(size=n_groups)[groups] + rng.normal(size=len(groups))
                    given = (groups.astype(str), None)
                    significant.append([p_value(values, members, known, seed) <= 0.05 for known in given])
                rates = " ".join(f"{rate:.1%}" for rate in np.mean(significant, axis=0)) if significant else "–"
                print(f"{name:20} {way:7} {share:.0%} members: {rates} of {len(significant)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
