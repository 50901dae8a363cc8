"""Utility, privacy and leakage by value of one factor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lightning_mia.report.ablation.labels import PRETEXT_LOSS, Label, label_text
from lightning_mia.report.ablation.points import (
    AttackKey,
    SeedMean,
    featured_attacks,
    has_values,
    result_rows,
    seed_mean,
    value_range,
)


@dataclass(frozen=True)
class Measure:
    """A mean over seeds and its change.

    Attributes:
        value: mean over seeds.
        change: difference from the first value, paired by seed; None for the first value, or without common seeds.
    """

    value: SeedMean
    change: SeedMean | None


@dataclass(frozen=True)
class CostRow:
    """One value of the factor; None = unknown.

    Attributes:
        label: of the value.
        leaks: AUROC of each attack.
        probe: accuracy of the linear probe.
        pretext: held-out pretext score under common masks.
        epsilon: upper bound on ε, the largest over seeds.
        epsilon_shown: lower bound on ε from the attacks, mean over seeds.
    """

    label: str
    leaks: tuple[Measure | None, ...]
    probe: Measure | None
    pretext: Measure | None
    epsilon: float | None
    epsilon_shown: float | None


@dataclass(frozen=True)
class CostTable:
    """Utility, privacy and leakage by value of one factor.

    Attributes:
        factor: its name.
        first: label of the value that the others are compared with.
        attacks: the pretext loss and the strongest black-box attack.
        untrained: accuracy of the probe on untrained models, over all cells; None = unknown.
        untrained_leaks: attack → its mean AUROC on untrained models, over all cells: the effect of the draws alone.
        rows: one per value.
    """

    factor: str
    first: str
    attacks: tuple[AttackKey, ...]
    untrained: SeedMean | None
    untrained_leaks: Mapping[str, float]
    rows: tuple[CostRow, ...]


def cost_table(table: pd.DataFrame, factors: Mapping[str, Sequence[Label]]) -> CostTable | None:
    """Build the table; None for several factors or without utility.

    Args:
        table: `results.csv`.
        factors: factor → its labels; the others are compared with the first.
    """
    cells = table.drop_duplicates("cell")
    if len(factors) != 1 or not any(has_values(cells, name) for name in ("utility_probe", "utility_pretext")):
        return None
    ((factor, labels),) = factors.items()
    attacks = _attacks(table, [factor])
    untrained = seed_mean(list(cells["utility_untrained"].astype(float)), value_range("utility_untrained"))
    first = table[table[factor] == labels[0]]  # empty if none of its cells is done
    rows = [
        _row(label_text(label), rows, first, attacks) for label in labels if len(rows := table[table[factor] == label])
    ]
    controls = {name: result_rows(table, f"untrained_{name}", level)["auroc"] for name, level in attacks}
    leaks = {name: float(aurocs.mean()) for name, aurocs in controls.items() if len(aurocs)}
    return CostTable(factor, label_text(labels[0]), attacks, untrained, leaks, tuple(rows))


def _attacks(table: pd.DataFrame, factors: Sequence[str]) -> tuple[AttackKey, ...]:
    attacks = table[table["role"] == "attack"]
    levels = attacks["level"][attacks["attack"] == PRETEXT_LOSS].unique()[:1]
    black_box = attacks[attacks["access"] == "black-box"]
    strongest = featured_attacks(black_box, factors)[:1] if len(black_box) else []
    return (*((PRETEXT_LOSS, str(level)) for level in levels), *strongest)


def _row(label: str, rows: pd.DataFrame, first: pd.DataFrame, attacks: Sequence[AttackKey]) -> CostRow:
    cells, first_cells = rows.drop_duplicates("cell"), first.drop_duplicates("cell")
    epsilons, shown = cells["epsilon"].dropna(), seed_mean(list(cells["epsilon_shown"].astype(float)))
    return CostRow(
        label,
        tuple(_measure(result_rows(rows, *attack), result_rows(first, *attack), "auroc") for attack in attacks),
        _measure(cells, first_cells, "utility_probe"),
        _measure(cells, first_cells, "utility_pretext"),
        float(epsilons.max()) if len(epsilons) == len(cells) else None,
        shown.mean if shown else None,
    )


def _measure(rows: pd.DataFrame, first: pd.DataFrame, column: str) -> Measure | None:
    """Average a column and its paired change over seeds."""
    by_seed, first_by_seed = (part.set_index("seed")[column].astype(float) for part in (rows, first))
    value = seed_mean(list(by_seed), value_range(column))
    if value is None:
        return None
    is_first = rows.index.equals(first.index)
    return Measure(value, None if is_first else seed_mean(list((by_seed - first_by_seed).dropna())))
