"""Which figures a grid has, the same on the page and as files for a paper."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pandas as pd

from lightning_mia.report.ablation.figures import Axis, Line, curves, heat_map, trade_off
from lightning_mia.report.ablation.labels import Label, text_of
from lightning_mia.report.ablation.points import (
    Attack,
    OverSeeds,
    Point,
    featured_attacks,
    figure_at,
    is_known,
    of_result,
)
from lightning_mia.report.content.numbers import decimal
from lightning_mia.report.figures.drawing import Drawing

MAX_ATTACKS = 3
"""Attacks of each level that have figures of two factors; the table has all."""

MAX_LINES, MAX_ROWS = 6, 16
"""Attacks of each level in a figure of curves, and in a heat map, of one factor."""

MAX_PLACES = 6
"""Combinations of the other factors that have figures of their own."""

UTILITY = "held-out pretext score"

COST_WORDS = {
    "utility_probe": "accuracy of a linear probe",
    "utility_pretext": "held-out pretext score under common masks",
    "heldout_pretext": UTILITY,
}
"""Columns that say what a model is good for; the first that is known stands against what it leaks."""


def draw(table: pd.DataFrame, factors: Mapping[str, Sequence[Label]]) -> list[Drawing]:
    """Figures of the strongest attacks, and of what they cost the model.

    Args:
        table: `results.csv`.
        factors: factor → its labels.
    """
    axes = [Axis(name, labels) for name, labels in factors.items()]
    across, *others = _by_use(axes)
    if not others:
        featured = featured_attacks(table, list(factors), MAX_LINES)
        return [*_of_one_factor(table, across, featured), *_trade_offs(table, across, featured[:1])]
    featured = featured_attacks(table, list(factors), MAX_ATTACKS)
    up, *rest = others
    drawings: list[Drawing] = []
    for where, part in _places(table, rest):
        drawings += _of_two_factors(part, across, up, featured, where)
    return drawings


def _by_use(axes: Sequence[Axis]) -> list[Axis]:
    """The factor that goes from left to right first: the last one whose values are numbers."""
    numeric = [axis for axis in axes if axis.is_numeric]
    first = numeric[-1] if numeric else axes[-1]
    return [first, *(axis for axis in axes if axis is not first)]


def _places(table: pd.DataFrame, rest: Sequence[Axis]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Parts of the table in which all factors but two have one value; the first few."""
    combinations = list(product(*(axis.labels for axis in rest)))
    for labels in combinations[:MAX_PLACES]:
        part = table
        for axis, label in zip(rest, labels, strict=True):
            part = part[part[axis.name] == label]
        words = ", ".join(f"{axis.name} {text_of(label)}" for axis, label in zip(rest, labels, strict=True))
        if len(part):
            yield words, part


def _of_one_factor(table: pd.DataFrame, axis: Axis, featured: Sequence[Attack]) -> Iterator[Drawing]:
    for level in dict.fromkeys(level for _, level in featured):
        attacks = [attack for attack in featured if attack[1] == level]
        lines = [_line(table, axis, attack) for attack in attacks]
        controls = [line for line in _references(table, axis, attacks[0]) if line.values]
        yield _curves(f"auroc_{level}", f"AUROC, {level} level", axis, [*lines, *controls], "AUROC", 0.5)
        yield from _attacks_map(table, axis, level)
    yield from _utility_curve(table, axis)


def _attacks_map(table: pd.DataFrame, axis: Axis, level: str) -> Iterator[Drawing]:
    """All attacks of a level against the factor, such as the layers of a model against epochs."""
    at_level = table[(table["level"] == level) & (table["role"] == "attack")]
    names = list(dict.fromkeys(at_level["attack"]))
    strongest = {name for name, _ in featured_attacks(at_level, [axis.name], MAX_ROWS)}
    rows = [name for name in reversed(names) if name in strongest]
    if len(rows) > 1:
        part = at_level[at_level["attack"].isin(rows)]
        yield _heat_map(f"attacks_{level}", f"AUROC, {level} level", part, axis, Axis("attack", rows), "auroc", 0.5)


def _line(table: pd.DataFrame, axis: Axis, attack: Attack, name: str = "", is_reference: bool = False) -> Line:
    values = figure_at(of_result(table, *attack), [axis.name], "auroc")
    return Line(name or attack[0], _by_label(values), is_reference)


def _references(table: pd.DataFrame, axis: Axis, attack: Attack) -> Iterator[Line]:
    """The blind control, and the first attack on a model that cannot know."""
    name, level = attack
    for control in (f"wrong_model_{name}", "blind"):
        yield _line(table, axis, (control, level), is_reference=True)


def _utility_curve(table: pd.DataFrame, axis: Axis) -> Iterator[Drawing]:
    values = _by_label(figure_at(_one_row_a_cell(table), [axis.name], "heldout_pretext"))
    if values:
        yield _curves("utility", UTILITY[0].upper() + UTILITY[1:], axis, [Line("non-members", values)], UTILITY, None)


def _one_row_a_cell(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop_duplicates("cell")


def _by_label(values: Mapping[Point, OverSeeds]) -> dict[Label, OverSeeds]:
    return {point[0]: value for point, value in values.items()}  # type: ignore[misc]


def _curves(tag: str, caption: str, axis: Axis, lines: Sequence[Line], what: str, chance: float | None) -> Drawing:
    told = "; ".join(
        f"{line.name} "
        + ", ".join(f"{decimal(line.values[x].mean)} at {text_of(x)}" for x in axis.labels if x in line.values)
        for line in lines
    )
    caption = f"{caption} by {axis.name.replace('_', ' ')}"
    return Drawing(tag, caption, f"{caption}: {told}", curves(axis, lines, what, chance))


def _of_two_factors(
    table: pd.DataFrame, across: Axis, up: Axis, featured: Sequence[Attack], where: str
) -> Iterator[Drawing]:
    beginning = f"{where.replace(', ', '_').replace(' ', '-')}_" if where else ""
    for name, level in featured:
        rows = of_result(table, name, level)
        place = ", ".join(filter(None, (f"AUROC of {name}, {level} level", where)))
        yield _heat_map(f"{beginning}auroc_{name}_{level}", place, rows, across, up, "auroc", 0.5)
        lines = []
        for label in up.labels:
            values = _by_label(figure_at(rows[rows[up.name] == label], [across.name], "auroc"))
            if values:
                lines.append(Line(f"{up.name.replace('_', ' ')} {text_of(label)}", values))
        yield _curves(f"{beginning}curves_{name}_{level}", place, across, lines, "AUROC", 0.5)
    utility = _one_row_a_cell(table)
    if utility["heldout_pretext"].notna().any():
        place = ", ".join(filter(None, (UTILITY[0].upper() + UTILITY[1:], where)))
        yield _heat_map(f"{beginning}utility", place, utility, across, up, "heldout_pretext", None)


def _heat_map(
    tag: str, caption: str, rows: pd.DataFrame, across: Axis, up: Axis, column: str, chance: float | None
) -> Drawing:
    values: dict[tuple[Label, Label], OverSeeds] = dict(figure_at(rows, [across.name, up.name], column))  # type: ignore[arg-type]
    told = "; ".join(
        f"{across.name} {text_of(x)} and {up.name} {text_of(y)}: {decimal(one.mean)}" for (x, y), one in values.items()
    )
    return Drawing(tag, f"{caption}, mean over seeds", f"{caption}: {told}", heat_map(across, up, values, chance))


def _trade_offs(table: pd.DataFrame, axis: Axis, featured: Sequence[Attack]) -> Iterator[Drawing]:
    """What each value costs and what it buys, where the values have names: a defence, say."""
    cells = _one_row_a_cell(table)
    column = next((name for name in COST_WORDS if is_known(cells, name)), None)
    if axis.is_numeric or column is None:
        return
    costs = _by_label(figure_at(cells, [axis.name], column))
    for attack in featured:
        leaks = _line(table, axis, attack).values
        points = {text_of(label): (costs[label], leaks[label]) for label in axis.labels if label in costs}
        told = "; ".join(f"{name} {decimal(x.mean)} and {decimal(y.mean)}" for name, (x, y) in points.items())
        caption = f"What it costs against what it leaks: {attack[0]}, {attack[1]} level"
        figure = trade_off(points, f"{COST_WORDS[column]} (further right is better)", f"AUROC of {attack[0]}")
        yield Drawing(f"trade_off_{attack[1]}", caption, f"{caption}: {told}", figure)
