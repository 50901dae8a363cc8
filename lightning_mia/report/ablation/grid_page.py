"""Render `report.html` of a grid, a self-contained page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lightning_mia.evaluation.reasons import HEADINGS
from lightning_mia.evaluation.settings import ALPHA
from lightning_mia.report.ablation.costs import cost_table
from lightning_mia.report.ablation.drawings import draw_grid
from lightning_mia.report.ablation.hparams import write_hparams
from lightning_mia.report.ablation.labels import checkpoint_label, label_text, to_label
from lightning_mia.report.ablation.points import (
    MIN_SEEDS,
    AttackKey,
    SeedMean,
    featured_attacks,
    result_rows,
    rows_by_point,
    seed_mean,
)
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import read_table
from lightning_mia.report.figures.drawing import Drawing
from lightning_mia.report.figures.svg import inline_svg
from lightning_mia.report.templates import html_environment
from lightning_mia.utilities.files import atomic_path, write_text

MAX_COLUMNS = 3
"""Maximum number of attacks in the table of points; `results.csv` has all."""


@dataclass(frozen=True)
class PointRow:
    """One point of the grid.

    Attributes:
        labels: of its values, as text.
        attacks: AUROC of each attack of the table; None if it did not run.
        tprs: TPR at FPR 1 % of the same attacks; None if unknown.
        utility: held-out pretext score.
        seconds: of all its cells.
        cells: one per seed.
        checkpoint: such as "epoch 5 of 20" if its models are checkpoints of longer runs, else empty.
    """

    labels: tuple[str, ...]
    attacks: tuple[SeedMean | None, ...]
    tprs: tuple[SeedMean | None, ...]
    utility: SeedMean | None
    seconds: float
    cells: tuple["CellLink", ...]
    checkpoint: str


@dataclass(frozen=True)
class CellLink:
    """Seed, folder and verdict of a finished cell."""

    seed: int
    folder: str
    verdict: str


@dataclass(frozen=True)
class ControlRow:
    """AUROC of one control over all cells.

    Attributes:
        name: of the control.
        level: "utterance" or "speaker".
        lowest: lowest AUROC.
        mean: mean AUROC.
        highest: highest AUROC.
        n: number of cells.
        n_significant: cells with p < .05.
    """

    name: str
    level: str
    lowest: float
    mean: float
    highest: float
    n: int
    n_significant: int


def write_page(root: Path) -> Path:
    """Write page, figures and TensorBoard events of a grid.

    Returns:
        The path of the page.

    Raises:
        InputError: `grid.json` or `results.csv` is damaged, or the folder cannot be written to.
    """
    record = GridRecord.read(root)
    table = pd.DataFrame()
    if (root / "results.csv").is_file():
        table = _with_labels(read_table(root, list(record.factors)), record)
    drawings = draw_grid(table, record.factors) if len(table) else []
    write_text(root / "report.html", render(record, table, drawings))
    for drawing in drawings:
        _save(drawing, root / "figures")
    if len(table):
        write_hparams(root / "tensorboard", table, list(record.factors))
    return root / "report.html"


def _with_labels(table: pd.DataFrame, record: GridRecord) -> pd.DataFrame:
    """Restore the labels' types, which CSV does not preserve."""
    labels = {name: {label_text(label): label for label in labels} for name, labels in record.factors.items()}

    def restored(name: str, value: Any) -> Any:
        text = label_text(to_label(value))
        return labels[name].get(text, labels[name].get(text.removesuffix(".0"), value))

    return table.assign(**{name: [restored(name, value) for value in table[name]] for name in record.factors})


def _save(drawing: Drawing, folder: Path) -> None:
    import matplotlib

    for suffix, options in ((".pdf", {"metadata": {"CreationDate": None}}), (".png", {"dpi": 200})):
        with atomic_path(folder / f"{drawing.tag}{suffix}") as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            drawing.figure.savefig(temporary, **options)


def render(record: GridRecord, table: pd.DataFrame, drawings: Sequence[Drawing]) -> str:
    """Return the HTML of the page."""
    from markupsafe import Markup

    done = set(table["cell"].str.removeprefix("cells/")) if len(table) else set()
    attacks = featured_attacks(table, list(record.factors), MAX_COLUMNS)[:MAX_COLUMNS] if len(table) else []
    return (
        html_environment()
        .get_template("ablation.html")
        .render(
            record=record,
            attacks=attacks,
            costs=cost_table(table, record.factors) if len(table) else None,
            rows=_rows(table, list(record.factors), attacks) if len(table) else [],
            has_checkpoints=bool(len(table)) and bool((table["trained_as"] != "").any()),
            controls=_controls(table, attacks) if len(table) else [],
            pictures=[
                (drawing, Markup(inline_svg(drawing.figure, drawing.label, f"f{number}")))
                for number, drawing in enumerate(drawings, start=1)
            ],
            n_done=len(done),
            missing=[name for name in record.cells if name not in done and name not in record.failures],
            verdicts=_verdicts(table) if len(table) else {},
            headings=HEADINGS,
            min_seeds=MIN_SEEDS,
        )
    )


def _rows(table: pd.DataFrame, factors: Sequence[str], attacks: Sequence[AttackKey]) -> list[PointRow]:
    return [
        _row(tuple(label_text(label) for label in point), rows, attacks)  # type: ignore[arg-type]
        for point, rows in rows_by_point(table, factors).items()
    ]


def _row(labels: tuple[str, ...], rows: pd.DataFrame, attacks: Sequence[AttackKey]) -> PointRow:
    cells = rows.drop_duplicates("cell")
    by_attack = [result_rows(rows, *attack) for attack in attacks]
    tpr = "tpr_at_1_fpr" if "tpr_at_1_fpr" in rows else None
    return PointRow(
        labels,
        tuple(seed_mean(list(results["auroc"]), (0.0, 1.0)) for results in by_attack),
        tuple(seed_mean(list(results[tpr]), (0.0, 1.0)) if tpr else None for results in by_attack),
        seed_mean(list(cells["heldout_pretext"].astype(float))),
        float(cells["seconds"].sum()),
        tuple(
            CellLink(int(seed), str(folder), str(verdict))
            for seed, folder, verdict in zip(cells["seed"], cells["cell"], cells["verdict"], strict=True)
        ),
        ", ".join(dict.fromkeys(checkpoint_label(label) for label in cells["trained_as"] if label)),
    )


def _controls(table: pd.DataFrame, attacks: Sequence[AttackKey]) -> list[ControlRow]:
    """Summarise the blind baseline and the controls of featured attacks."""
    levels = dict.fromkeys(level for _, level in attacks)
    controls = [("blind", level) for level in levels]
    controls += [(f"{kind}_{name}", level) for name, level in attacks for kind in ("wrong_model", "untrained")]
    summaries = []
    for name, level in controls:
        rows = result_rows(table, name, level)
        if len(rows):
            aurocs, n_significant = rows["auroc"], int((rows["p_value"] < ALPHA).sum())
            summaries.append(
                ControlRow(name, level, aurocs.min(), aurocs.mean(), aurocs.max(), len(rows), n_significant)
            )
    return summaries


def _verdicts(table: pd.DataFrame) -> Mapping[str, int]:
    counts = table.drop_duplicates("cell")["verdict"].value_counts()
    return {status: int(counts[status]) for status in HEADINGS if status in counts}
