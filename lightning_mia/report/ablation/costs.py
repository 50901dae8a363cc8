"""What each value of a factor costs the model, and what it buys its members, beside the first: a grid of defences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lightning_mia.report.ablation.labels import PRETEXT_LOSS, Label, text_of
from lightning_mia.report.ablation.points import (
    Attack,
    OverSeeds,
    featured_attacks,
    is_known,
    of_result,
    over_seeds,
    range_of,
)


@dataclass(frozen=True)
class Figure:
    """A figure over seeds.

    Attributes:
        found: the figure.
        change: to the first value, seed by seed; None at the first one, and where no seed has both.
    """

    found: OverSeeds
    change: OverSeeds | None


@dataclass(frozen=True)
class Cost:
    """One value of the factor. None: not known.

    Attributes:
        label: of the value.
        leaks: AUROC of each attack.
        probe: accuracy of the linear probe.
        pretext: held-out pretext score under common masks.
        epsilon: ε is at most this, in every seed.
        epsilon_shown: mean over seeds of what the attacks show ε to be at least.
    """

    label: str
    leaks: tuple[Figure | None, ...]
    probe: Figure | None
    pretext: Figure | None
    epsilon: float | None
    epsilon_shown: float | None


@dataclass(frozen=True)
class Costs:
    """The table.

    Attributes:
        factor: what is varied.
        first: label of the value that the others are compared with.
        attacks: whose AUROC stands in it: the pretext loss, and the black-box attack that goes furthest from chance.
        untrained: accuracy of the probe on untrained models, over all cells; None: not known.
        untrained_leaks: attack → its mean AUROC on untrained models, over all cells: what the draws alone give.
        rows: one a value.
    """

    factor: str
    first: str
    attacks: tuple[Attack, ...]
    untrained: OverSeeds | None
    untrained_leaks: Mapping[str, float]
    rows: tuple[Cost, ...]


def costs_of(table: pd.DataFrame, factors: Mapping[str, Sequence[Label]]) -> Costs | None:
    """The table of costs; None where several factors are varied, or no cell measured its utility.

    Args:
        table: `results.csv`.
        factors: factor → its labels, of which the first is what the others are compared with.
    """
    cells = table.drop_duplicates("cell")
    if len(factors) != 1 or not any(is_known(cells, name) for name in ("utility_probe", "utility_pretext")):
        return None
    ((factor, labels),) = factors.items()
    attacks = _attacks(table, [factor])
    untrained = over_seeds(list(cells["utility_untrained"].astype(float)), range_of("utility_untrained"))
    first = table[table[factor] == labels[0]]  # empty, where none of its cells is done
    rows = [
        _cost(text_of(label), of_label, first, attacks)
        for label in labels
        if len(of_label := table[table[factor] == label])
    ]
    controls = {name: of_result(table, f"untrained_{name}", level)["auroc"] for name, level in attacks}
    leaks = {name: float(aurocs.mean()) for name, aurocs in controls.items() if len(aurocs)}
    return Costs(factor, text_of(labels[0]), attacks, untrained, leaks, tuple(rows))


def _attacks(table: pd.DataFrame, factors: Sequence[str]) -> tuple[Attack, ...]:
    attacks = table[table["role"] == "attack"]
    chosen = [(PRETEXT_LOSS, str(level)) for level in attacks["level"][attacks["attack"] == PRETEXT_LOSS].unique()[:1]]
    black_box = attacks[attacks["access"] == "black-box"]
    return (*chosen, *(featured_attacks(black_box, factors)[:1] if len(black_box) else ()))


def _cost(label: str, rows: pd.DataFrame, first: pd.DataFrame, attacks: Sequence[Attack]) -> Cost:
    cells, first_cells = rows.drop_duplicates("cell"), first.drop_duplicates("cell")
    epsilons, shown = cells["epsilon"].dropna(), over_seeds(list(cells["epsilon_shown"].astype(float)))
    return Cost(
        label,
        tuple(_figure(of_result(rows, *one), of_result(first, *one), "auroc") for one in attacks),
        _figure(cells, first_cells, "utility_probe"),
        _figure(cells, first_cells, "utility_pretext"),
        float(epsilons.max()) if len(epsilons) == len(cells) else None,
        shown.mean if shown else None,
    )


def _figure(rows: pd.DataFrame, first: pd.DataFrame, column: str) -> Figure | None:
    """A column over seeds, and its change from the first value, by the seeds that both have."""
    by_seed, before = (one.set_index("seed")[column].astype(float) for one in (rows, first))
    found = over_seeds(list(by_seed), range_of(column))
    if found is None:
        return None
    return Figure(found, None if rows.index.equals(first.index) else over_seeds(list((by_seed - before).dropna())))
