import re
from pathlib import Path

import pandas as pd
import pytest

from lightning_mia.audit.cli import main
from lightning_mia.report.ablation.drawings import draw_grid
from lightning_mia.report.ablation.grid_page import write_page
from lightning_mia.report.ablation.record import GridRecord
from lightning_mia.report.ablation.results_csv import write_table
from lightning_mia.utilities.errors import InputError


def record_of(table: pd.DataFrame, **changes: object) -> GridRecord:
    fields: dict[str, object] = {
        "name": "size_by_epochs",
        "base": "b.yaml",
        "factors": {"size": [25, 50], "epochs": [1, 2, 4]},
        "options": {"size": ["data.design.n_units"], "epochs": ["trainer.max_epochs"]},
        "seeds": [0, 1, 2],
        "cells": [cell.removeprefix("cells/") for cell in dict.fromkeys(table["cell"])],
        "failures": {},
        "command": "lightning-mia ablate -c size_by_epochs.yaml",
        "versions": {"torch": "2"},
        "hardware": {"cores": 1, "accelerators": ["A"]},
    }
    return GridRecord(**{**fields, **changes})  # type: ignore[arg-type]


def page_of(table: pd.DataFrame, root: Path, **changes: object) -> str:
    record_of(table, **changes).write(root)
    if len(table):
        write_table(table, root)
    return write_page(root).read_text()


@pytest.mark.slow
def test_the_page_has_figures_points_and_links(table: pd.DataFrame, tmp_path: Path) -> None:
    page = page_of(table, tmp_path)
    assert write_page(tmp_path).read_text() == page  # the same grid gives the same page
    links = re.findall(r'href="(cells/[^"]+)"', page)
    assert len(links) == 18
    assert "cells/size%3D25%2Cepochs%3D1/seed%3D0/report/report.html" in links
    assert page.count("<svg") == 5  # a heat map and curves for two attacks, and the held-out pretext score
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".pdf", ".png"}


def test_checkpoints_of_longer_runs_are_marked(
    table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_mia.report.ablation.grid_page.draw_grid", lambda *_: [])
    assert "trained_as" not in page_of(table.drop(columns="trained_as"), tmp_path)  # of an earlier version
    shorter = table["epochs"] == 2
    labels = "epoch 2 of 4 of " + table["cell"].str.removeprefix("cells/")
    page = page_of(table.assign(trained_as=labels.where(shorter, "")), tmp_path)
    assert page.count("<small>epoch 2 of 4</small>") == 2  # of two sizes
    assert "checkpoints of that run" in page


def test_unfinished_cells_are_listed(table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightning_mia.report.ablation.grid_page.draw_grid", lambda *_: [])
    cells = [*record_of(table).cells, "size=50,epochs=8/seed=0", "size=50,epochs=8/seed=1"]
    page = page_of(table, tmp_path, cells=cells, failures={cells[-1]: "no <memory>"})
    assert "18 of 20 cells are done, 1 failed, 1 not started or interrupted" in " ".join(page.split())
    assert "no &lt;memory&gt;" in page
    assert page.count("size=50,epochs=8/seed=0</td>") == 1


def test_a_grid_without_finished_cells_has_a_page(table: pd.DataFrame, tmp_path: Path) -> None:
    page = page_of(table.iloc[:0], tmp_path, cells=["size=25,epochs=1/seed=0"])
    assert "0 of 1 cells are done" in page


@pytest.mark.parametrize(
    ("factors", "n_figures"),
    [
        ({"epochs": [1, 2, 4]}, 3),  # curves, all attacks, held-out pretext score
        ({"epochs": ["a", "b", "c"]}, 4),  # and utility against leakage
        ({"size": ["s", "l"], "epochs": [1, 2, 4]}, 5),
        ({"size": ["s", "l"], "epochs": [1, 2, 4], "rate": [True, False]}, 10),
    ],
)
def test_figures_depend_on_the_number_of_factors(factors: dict[str, list[object]], n_figures: int) -> None:
    from tests.report.ablation.conftest import table_of

    table = table_of(tuple(factors.get("size", ["-"])), tuple(factors["epochs"]))
    if "rate" in factors:
        parts = [table.assign(rate=rate, cell=table["cell"] + str(rate)) for rate in factors["rate"]]
        table = pd.concat(parts, ignore_index=True)
    drawings = draw_grid(table, factors)  # type: ignore[arg-type]
    assert len({drawing.tag for drawing in drawings}) == len(drawings) == n_figures
    assert all(re.fullmatch(r"[\w.+=-]+", drawing.tag) for drawing in drawings)
    assert all(re.search("pretext_loss|similarity|score", drawing.label) for drawing in drawings)


def test_the_report_command_renders_the_page_and_rejects_damaged_files(
    table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning_mia.report.ablation.grid_page.draw_grid", lambda *_: [])
    page = page_of(table, tmp_path)
    (tmp_path / "report.html").unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text() == page
    (tmp_path / "grid.json").write_text('{"name": 1}')
    assert main(["report", str(tmp_path)]) == 2
    assert "grid.json is missing or damaged" in capsys.readouterr().err
    with pytest.raises(InputError):
        GridRecord.read(tmp_path / "nowhere")
