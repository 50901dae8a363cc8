"""Figures of a grid, for its page and as files."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import pandas as pd

from lightning_mia.report.ablation.figures import Axis, Line, curves, heat_map, trade_off
from lightning_mia.report.ablation.labels import Label, label_text
from lightning_mia.report.ablation.points import (
    AttackKey,
    Point,
    SeedMean,
    featured_attacks,
    has_values,
    means_by_point,
    result_rows,
)
from lightning_mia.report.content.numbers import decimal
from lightning_mia.report.figures.drawing import Drawing

MAX_ATTACKS = 3
"""Maximum number of attacks of each level in figures of two factors; `results.csv` has all."""

MAX_LINES, MAX_ROWS = 6, 16
"""Maximum number of attacks of each level in curves, and in a heat map, of one factor."""

MAX_COMBINATIONS = 6
"""Maximum number of combinations of further factors that are drawn."""

UTILITY = "held-out pretext score"

UTILITY_NAMES = {
    "utility_probe": "accuracy of a linear probe",
    "utility_pretext": "held-out pretext score under common masks",
    "heldout_pretext": UTILITY,
}
"""Column of utility → its name in figures; the first column with values is drawn against leakage."""


def draw_grid(table: pd.DataFrame, factors: Mapping[str, Sequence[Label]]) -> list[Drawing]:
    """Draw the strongest attacks and the utility of the models.

    Args:
        table: `results.csv`.
        factors: factor → its labels.
    """
    axes = [Axis(name, labels) for name, labels in factors.items()]
    across, *others = _ordered(axes)
    if not others:
        featured = featured_attacks(table, list(factors), MAX_LINES)
        return [*_one_factor(table, across, featured), *_trade_offs(table, across, featured[:1])]
    featured = featured_attacks(table, list(factors), MAX_ATTACKS)
    up, *rest = others
    drawings: list[Drawing] = []
    for combination, part in _combinations(table, rest):
        drawings += _two_factors(part, across, up, featured, combination)
    return drawings


def _ordered(axes: Sequence[Axis]) -> list[Axis]:
    """Put the horizontal axis first: the last numeric one."""
    numeric = [axis for axis in axes if axis.is_numeric]
    first = numeric[-1] if numeric else axes[-1]
    return [first, *(axis for axis in axes if axis is not first)]


def _combinations(table: pd.DataFrame, rest: Sequence[Axis]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield parts of the table with all further factors fixed."""
    for labels in list(product(*(axis.labels for axis in rest)))[:MAX_COMBINATIONS]:
        part = table
        for axis, label in zip(rest, labels, strict=True):
            part = part[part[axis.name] == label]
        name = ", ".join(f"{axis.name} {label_text(label)}" for axis, label in zip(rest, labels, strict=True))
        if len(part):
            yield name, part


def _one_factor(table: pd.DataFrame, axis: Axis, featured: Sequence[AttackKey]) -> Iterator[Drawing]:
    for level in dict.fromkeys(level for _, level in featured):
        attacks = [attack for attack in featured if attack[1] == level]
        lines = [_line(table, axis, attack) for attack in attacks]
        controls = [line for line in _references(table, axis, attacks[0]) if line.values]
        yield _curves(f"auroc_{level}", f"AUROC, {level} level", axis, [*lines, *controls], "AUROC", 0.5)
        yield from _attacks_map(table, axis, level)
    yield from _utility_curve(table, axis)


def _attacks_map(table: pd.DataFrame, axis: Axis, level: str) -> Iterator[Drawing]:
    """Draw all attacks of a level against the factor."""
    at_level = table[(table["level"] == level) & (table["role"] == "attack")]
    names = list(dict.fromkeys(at_level["attack"]))
    strongest = {name for name, _ in featured_attacks(at_level, [axis.name], MAX_ROWS)}
    rows = [name for name in reversed(names) if name in strongest]
    if len(rows) > 1:
        part = at_level[at_level["attack"].isin(rows)]
        yield _heat_map(f"attacks_{level}", f"AUROC, {level} level", part, axis, Axis("attack", rows), "auroc", 0.5)


def _line(table: pd.DataFrame, axis: Axis, attack: AttackKey, is_reference: bool = False) -> Line:
    means = means_by_point(result_rows(table, *attack), [axis.name], "auroc")
    return Line(attack[0], _by_label(means), is_reference)


def _references(table: pd.DataFrame, axis: Axis, attack: AttackKey) -> Iterator[Line]:
    """Yield the lines of wrong model and blind baseline."""
    name, level = attack
    for control in (f"wrong_model_{name}", "blind"):
        yield _line(table, axis, (control, level), is_reference=True)


def _utility_curve(table: pd.DataFrame, axis: Axis) -> Iterator[Drawing]:
    means = _by_label(means_by_point(table.drop_duplicates("cell"), [axis.name], "heldout_pretext"))
    if means:
        yield _curves("utility", _capitalised(UTILITY), axis, [Line("non-members", means)], UTILITY, None)


def _by_label(means: Mapping[Point, SeedMean]) -> dict[Label, SeedMean]:
    return {point[0]: mean for point, mean in means.items()}  # type: ignore[misc]


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _curves(tag: str, caption: str, axis: Axis, lines: Sequence[Line], y_label: str, chance: float | None) -> Drawing:
    values = "; ".join(
        f"{line.name} "
        + ", ".join(f"{decimal(line.values[x].mean)} at {label_text(x)}" for x in axis.labels if x in line.values)
        for line in lines
    )
    caption = f"{caption}, by {axis.name.replace('_', ' ')}"
    return Drawing(tag, caption, f"{caption}: {values}", curves(axis, lines, y_label, chance))


def _two_factors(
    table: pd.DataFrame, across: Axis, up: Axis, featured: Sequence[AttackKey], combination: str
) -> Iterator[Drawing]:
    prefix = f"{combination.replace(', ', '_').replace(' ', '-')}_" if combination else ""
    for name, level in featured:
        rows = result_rows(table, name, level)
        caption = ", ".join(filter(None, (f"AUROC of {name}, {level} level", combination)))
        yield _heat_map(f"{prefix}auroc_{name}_{level}", caption, rows, across, up, "auroc", 0.5)
        lines = []
        for label in up.labels:
            means = _by_label(means_by_point(rows[rows[up.name] == label], [across.name], "auroc"))
            if means:
                lines.append(Line(f"{up.name.replace('_', ' ')} {label_text(label)}", means))
        yield _curves(f"{prefix}curves_{name}_{level}", caption, across, lines, "AUROC", 0.5)
    cells = table.drop_duplicates("cell")
    if has_values(cells, "heldout_pretext"):
        caption = ", ".join(filter(None, (_capitalised(UTILITY), combination)))
        yield _heat_map(f"{prefix}utility", caption, cells, across, up, "heldout_pretext", None)


def _heat_map(
    tag: str, caption: str, rows: pd.DataFrame, across: Axis, up: Axis, column: str, chance: float | None
) -> Drawing:
    means: dict[tuple[Label, Label], SeedMean] = dict(means_by_point(rows, [across.name, up.name], column))  # type: ignore[arg-type]
    values = "; ".join(
        f"{across.name} {label_text(x)} and {up.name} {label_text(y)}: {decimal(mean.mean)}"
        for (x, y), mean in means.items()
    )
    return Drawing(tag, f"{caption}, mean over seeds", f"{caption}: {values}", heat_map(across, up, means, chance))


def _trade_offs(table: pd.DataFrame, axis: Axis, featured: Sequence[AttackKey]) -> Iterator[Drawing]:
    """Draw utility against leakage, unless the factor is numeric."""
    cells = table.drop_duplicates("cell")
    column = next((name for name in UTILITY_NAMES if has_values(cells, name)), None)
    if axis.is_numeric or column is None:
        return
    utilities = _by_label(means_by_point(cells, [axis.name], column))
    for attack in featured:
        leaks = _line(table, axis, attack).values
        points = {label_text(label): (utilities[label], leaks[label]) for label in axis.labels if label in utilities}
        values = "; ".join(f"{name} {decimal(x.mean)} and {decimal(y.mean)}" for name, (x, y) in points.items())
        caption = f"Utility against leakage: {attack[0]}, {attack[1]} level"
        figure = trade_off(points, f"{UTILITY_NAMES[column]} (higher is better)", f"AUROC of {attack[0]}")
        yield Drawing(f"trade_off_{attack[1]}", caption, f"{caption}: {values}", figure)
