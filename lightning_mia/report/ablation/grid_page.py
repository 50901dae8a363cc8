"""`report.html` of a grid: one page that needs nothing else, with links to the report of every cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.report.ablation.costs import costs_of
from lightning_mia.report.ablation.drawings import draw
from lightning_mia.report.ablation.hparams import write_tensorboard
from lightning_mia.report.ablation.labels import checkpoint_of, label_in, text_of
from lightning_mia.report.ablation.points import (
    MIN_SEEDS,
    Attack,
    OverSeeds,
    featured_attacks,
    of_result,
    over_seeds,
    points_of,
)
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import read_table
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.svg import inline_svg
from lightning_mia.report.templates import html_environment
from lightning_mia.utilities.files import atomic_path, write_text

MAX_COLUMNS = 3
"""Attacks that have a column in the table of points; `results.csv` has all."""


@dataclass(frozen=True)
class Row:
    """One point of the grid.

    Attributes:
        labels: of its values, as text.
        attacks: figures over seeds, one for each attack of the table; None where it did not run.
        rates: true positive rates of the same attacks; None where it is not known.
        utility: held-out pretext score.
        seconds: of all its cells.
        cells: one a seed.
        checkpoint: such as "epoch 5 of 20", where its models are checkpoints of longer runs; empty: they are not.
    """

    labels: tuple[str, ...]
    attacks: tuple[OverSeeds | None, ...]
    rates: tuple[OverSeeds | None, ...]
    utility: OverSeeds | None
    seconds: float
    cells: tuple["CellLink", ...]
    checkpoint: str


@dataclass(frozen=True)
class CellLink:
    """A finished cell: its seed, its folder, and what its audit came to."""

    seed: int
    folder: str
    verdict: str


@dataclass(frozen=True)
class ControlRow:
    """A control over all cells: how far from chance it ever was."""

    name: str
    level: str
    lowest: float
    mean: float
    highest: float
    n: int
    n_small_p: int


def write_page(root: Path) -> Path:
    """Make the page, the figures as files, and what TensorBoard shows, from `grid.json` and `results.csv`.

    Returns:
        The page.

    Raises:
        InputError: one of the two is damaged, or the folder cannot be written to.
    """
    record = GridRecord.read(root)
    has_table = (root / "results.csv").is_file()
    table = read_table(root, list(record.factors)) if has_table else pd.DataFrame()
    if has_table:
        table = _with_labels(table, record)
    drawings = draw(table, record.factors) if has_table else []
    write_text(root / "report.html", render(record, table, drawings))
    for drawing in drawings:
        _save(drawing, root / "figures")
    if has_table:
        write_tensorboard(root / "tensorboard", table, list(record.factors))
    return root / "report.html"


def _with_labels(table: pd.DataFrame, record: GridRecord) -> pd.DataFrame:
    """Labels as the grid has them: a column of a CSV file knows no types."""
    known = {name: {text_of(label): label for label in labels} for name, labels in record.factors.items()}

    def label_of(name: str, value: Any) -> Any:
        text = text_of(label_in(value))
        return known[name].get(text, known[name].get(text.removesuffix(".0"), value))

    return table.assign(**{name: [label_of(name, value) for value in table[name]] for name in record.factors})


def _save(drawing: Drawing, folder: Path) -> None:
    import matplotlib

    for suffix, options in ((".pdf", {"metadata": {"CreationDate": None}}), (".png", {"dpi": 200})):
        with atomic_path(folder / f"{drawing.tag}{suffix}") as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            drawing.figure.savefig(temporary, **options)


def render(record: GridRecord, table: pd.DataFrame, drawings: Sequence[Drawing]) -> str:
    """Return the HTML of the page. The same grid gives the same text, to the byte."""
    from markupsafe import Markup

    finished = set(table["cell"].str.removeprefix("cells/")) if len(table) else set()
    attacks = featured_attacks(table, list(record.factors), MAX_COLUMNS)[:MAX_COLUMNS] if len(table) else []
    return (
        html_environment()
        .get_template("ablation.html")
        .render(
            record=record,
            attacks=attacks,
            costs=costs_of(table, record.factors) if len(table) else None,
            rows=_rows(table, list(record.factors), attacks) if len(table) else [],
            has_checkpoints=bool(len(table)) and bool((table["trained_as"] != "").any()),
            controls=_controls(table, attacks) if len(table) else [],
            pictures=[
                (drawing, Markup(inline_svg(drawing.figure, drawing.label, f"f{number}")))
                for number, drawing in enumerate(drawings, start=1)
            ],
            n_done=len(finished),
            missing=[name for name in record.cells if name not in finished and name not in record.failures],
            verdicts=_verdicts(table) if len(table) else {},
            headings=HEADINGS,
            least_seeds=MIN_SEEDS,
        )
    )


def _rows(table: pd.DataFrame, factors: Sequence[str], attacks: Sequence[Attack]) -> list[Row]:
    return [
        _row(tuple(text_of(label) for label in point), rows, attacks)  # type: ignore[arg-type]
        for point, rows in points_of(table, factors).items()
    ]


def _row(labels: tuple[str, ...], rows: pd.DataFrame, attacks: Sequence[Attack]) -> Row:
    cells = rows.drop_duplicates("cell")
    of_attacks = [of_result(rows, *attack) for attack in attacks]
    rate = "tpr_at_1_fpr" if "tpr_at_1_fpr" in rows else None
    return Row(
        labels,
        tuple(over_seeds(list(one["auroc"]), (0.0, 1.0)) for one in of_attacks),
        tuple(over_seeds(list(one[rate]), (0.0, 1.0)) if rate else None for one in of_attacks),
        over_seeds(list(cells["heldout_pretext"].astype(float))),
        float(cells["seconds"].sum()),
        tuple(
            CellLink(int(seed), str(folder), str(verdict))
            for seed, folder, verdict in zip(cells["seed"], cells["cell"], cells["verdict"], strict=True)
        ),
        ", ".join(dict.fromkeys(checkpoint_of(label) for label in cells["trained_as"] if label)),
    )


def _controls(table: pd.DataFrame, attacks: Sequence[Attack]) -> list[ControlRow]:
    """The blind control, and the featured attacks on models that cannot know."""
    levels = dict.fromkeys(level for _, level in attacks)
    wanted = [("blind", level) for level in levels]
    wanted += [(f"{kind}_{name}", level) for name, level in attacks for kind in ("wrong_model", "untrained")]
    found = []
    for name, level in wanted:
        rows = of_result(table, name, level)
        if len(rows):
            aurocs, small = rows["auroc"], int((rows["p_value"] < 0.05).sum())
            found.append(ControlRow(name, level, aurocs.min(), aurocs.mean(), aurocs.max(), len(rows), small))
    return found


def _verdicts(table: pd.DataFrame) -> Mapping[str, int]:
    counts = table.drop_duplicates("cell")["verdict"].value_counts()
    return {status: int(counts[status]) for status in HEADINGS if status in counts}
