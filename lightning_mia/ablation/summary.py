"""What `lightning-mia ablate` prints when it is done: the strongest attack of every point."""

from collections.abc import Sequence

import pandas as pd

from lightning_mia.ablation.over_seeds import over_seeds
from lightning_mia.ablation.points import featured_attacks, points_of

MOST_LINES = 20


def summary(table: pd.DataFrame, factors: Sequence[str]) -> str:
    """One line a point: the attack that does best over the grid, with its interval over seeds.

    Args:
        table: of the grid.
        factors: what is varied.
    """
    attack, level = featured_attacks(table, factors)[0]
    rows = table[(table["attack"] == attack) & (table["level"] == level)]
    points = points_of(rows, factors)
    names = [", ".join(f"{name} {label}" for name, label in zip(factors, point, strict=True)) for point in points]
    width = max(map(len, names))
    lines = [f"AUROC of {attack}, {level} level, mean over seeds"]
    for name, of_point in list(zip(names, points.values(), strict=True))[:MOST_LINES]:
        found = over_seeds(list(of_point["auroc"]), (0.0, 1.0))
        if found is None:
            continue
        interval = f" [{found.ci95[0]:.3f}, {found.ci95[1]:.3f}]" if found.ci95 else ""
        lines.append(f"  {name:<{width}}  {found.mean:.3f}{interval}")
    if len(names) > MOST_LINES:
        lines.append(f"  … {len(names) - MOST_LINES} more on the page")
    if (rows["trained_as"] != "").any():
        lines.append("cells of fewer epochs are checkpoints of longer runs, with their learning rates: see trained_as")
    return "\n".join(lines)
