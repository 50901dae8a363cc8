"""`lightning-mia ablate`, from what a user types: bad input, a whole grid, failures and interruptions."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml

from lightning_mia.audit.ablation.audit_options import AuditOptions
from lightning_mia.audit.ablation.cell import CellTask
from lightning_mia.audit.ablation.command import run as run_command
from lightning_mia.audit.ablation.run import run_cells
from lightning_mia.audit.cli import main
from lightning_mia.training.parallel.local import LocalExecutor
from lightning_mia.training.parallel.scheduler import Failure
from lightning_mia.utilities.stage import Stage
from tests.audit.ablation.deeds import Deed, badly, to_death, well

GRIDS = Path(__file__).parents[3] / "configs" / "ablation"
GRID: dict[str, Any] = {
    "factors": {
        "size": {"values": {12: {"data.design.n_units": 24}, 24: {"data.design.n_units": 48}}},
        "epochs": {"option": "trainer.max_epochs", "values": [1, 2]},
    },
    "seeds": 1,
}


@pytest.fixture
def grid_file(config: Path, tmp_path: Path) -> Path:
    return write_grid(tmp_path, config)


def write_grid(folder: Path, config: Path, **changes: Any) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**GRID, "base": str(config), **changes}, sort_keys=False))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["ablate", *arguments]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "lightning-mia: error" in line]
    assert len(lines) == 1
    return lines[0]


def factor(option: str, *values: Any) -> dict[str, Any]:
    return {"factors": {"x": {"option": option, "values": list(values)}}}


BAD_GRIDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no such option": (factor("trainer.max_epoch", 3), ["Factor x, value 3", "max_epoch"]),
    "no such option of the model": (factor("model.width", 3), ["Factor x, value 3", "width"]),
    "a value of the wrong type": (factor("trainer.max_epochs", 3, "many"), ["Factor x, value many", "int"]),
    "a value that the audit refuses": (factor("fleet.size", 2, 3), ["Factor x, value 3", "pairs"]),
    "no such option for all cells": ({"options": {"data.no": 1}}, ["The base config", "no"]),
    "no such base": ({"base": "nowhere.yaml"}, ["no base config nowhere.yaml"]),
    "another key": ({"factor": {"x": 1}}, ["factor"]),
    "seeds that are none": ({"seeds": "three"}, ["seeds"]),
    "too many cells": ({"seeds": 1000}, ["4000 cells", "--yes"]),
}


@pytest.mark.parametrize("kind", BAD_GRIDS)
def test_bad_grids_are_refused_before_anything_runs(
    kind: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, told = BAD_GRIDS[kind]
    line = refused(capsys, "-c", str(write_grid(tmp_path, config, **changes)), "--run_dir", str(tmp_path / "R"))
    assert all(words in line for words in told)
    assert not (tmp_path / "R").exists()


BAD_ARGUMENTS = {
    "an option that is varied": (["--trainer.max_epochs", "3"], "factor epochs varies"),
    "an option of the seeds": (["--seed_everything=3"], "--seeds"),
    "no such option": (["--trainer.nothing", "3"], "nothing"),
    "no workers": (["--workers", "0"], "--workers is 0"),
    "several devices a cell": (["--workers", "2", "--trainer.devices", "2"], "trainer.devices is 2"),
    "a word too many": (["--yes", "please"], "'please'"),
}


@pytest.mark.parametrize("kind", BAD_ARGUMENTS)
def test_bad_arguments(kind: str, grid_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, told = BAD_ARGUMENTS[kind]
    assert told in refused(capsys, "-c", str(grid_file), "--run_dir", str(tmp_path / "R"), *arguments)
    assert not (tmp_path / "R").exists()


def test_help_is_quick_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["ablate", "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert all(
        option in text
        for option in ("--base", "--factors", "--seeds", "--workers", "--engine", "--retries", "--yes", "--run_dir")
    )


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> list[CellTask]:
    """Cells that would be run, instead of running them."""
    tasks: list[CellTask] = []

    def note(wanted: list[CellTask], *_: Any) -> list[Any]:
        tasks[:] = wanted
        return []

    monkeypatch.setattr("lightning_mia.audit.ablation.run.run_cells", note)
    return tasks


@pytest.mark.slow
def test_a_folder_belongs_to_one_grid(
    grid_file: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nothing_runs: list[CellTask]
) -> None:
    root = tmp_path / "R"
    start = ["-c", str(grid_file), "--run_dir", str(root)]
    assert main(["ablate", *start]) == 0
    assert [task.name for task in nothing_runs] == [f"size={s},epochs={e}/seed=0" for s in (12, 24) for e in (1, 2)]
    assert main(["ablate", *start, "--seeds", "2", "--trainer.enable_progress_bar", "true"]) == 0  # more of the same
    assert len(nothing_runs) == 8
    assert "other settings" in refused(capsys, *start, "--data.batch_seconds", "4")
    other = {"factors": {"epochs": {"option": "trainer.max_epochs", "values": [1]}}}
    assert "factors" in refused(capsys, "-c", str(write_grid(tmp_path, config, **other)), "--run_dir", str(root))
    write_grid(tmp_path, config)
    (root / "results.csv").write_text("a,b\n1,2\n")
    assert "results.csv has no column size" in refused(capsys, *start)
    (root / "results.csv").unlink()
    stage = json.loads((root / "stage.json").read_text())
    made_with = {**stage["settings"], "versions": {**stage["settings"]["versions"], "lightning-mia": "0.0.1"}}
    (root / "stage.json").unlink()
    Stage(root, made_with).begin()
    assert "versions.lightning-mia: 0.0.1 there" in refused(capsys, *start)
    (root / "stage.json").unlink()
    (root / "split.csv").touch()
    assert "holds split.csv" in refused(capsys, *start)


def test_cells_that_are_only_asked_something_else_share_their_models(
    config: Path, tmp_path: Path, nothing_runs: list[CellTask]
) -> None:
    factors = {"factors": {"masks": {"option": "probe.n_masks", "values": [1, 2]}, "epochs": GRID["factors"]["epochs"]}}
    path = write_grid(tmp_path, config, **factors)
    run_command(["ablate", "-c", str(path), "--run_dir", str(tmp_path / "R")])
    siblings = {task.name: [folder.parent.name for folder in task.siblings] for task in nothing_runs}
    assert siblings["masks=1,epochs=2/seed=0"] == ["masks=2,epochs=2"]
    assert len({task.judging for task in nothing_runs}) == 2


def test_a_value_of_a_factor_comes_before_an_option_for_all_cells(
    config: Path, tmp_path: Path, nothing_runs: list[CellTask]
) -> None:
    values = {"plain": {}, "short": {"trainer.max_epochs": 1}}
    path = write_grid(
        tmp_path, config, factors={"training": {"values": values}}, options={"trainer.max_epochs": 2}, seeds=1
    )
    run_command(["ablate", "-c", str(path), "--run_dir", str(tmp_path / "R")])
    last = {task.name: [word for word in task.arguments if "max_epochs" in word][-1] for task in nothing_runs}
    assert last["training=plain/seed=0"].endswith("2")
    assert last["training=short/seed=0"].endswith("1")


READY = sorted(GRIDS.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_every_ready_grid_is_valid(
    path: Path, speakers_manifest: Path, tmp_path: Path, nothing_runs: list[CellTask]
) -> None:
    run_command(
        ["ablate", "-c", str(path), "--data.corpus.path", str(speakers_manifest), "--run_dir", str(tmp_path / "R")]
    )
    assert len(nothing_runs) >= 6
    assert path.read_text().startswith("# ")


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_a_grid_from_the_command_to_the_page(
    grid_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "R"
    start = ["ablate", "-c", str(grid_file), "--run_dir", str(root)]
    assert main(start) == 0
    assert "AUROC of" in capsys.readouterr().out
    table = pd.read_csv(root / "results.csv")
    assert len(table.drop_duplicates("cell")) == 4
    assert {"size", "epochs", "seed", "attack", "level", "auroc", "auroc_lo", "auroc_hi"} < set(table.columns)
    assert set(table[table["size"] == 12]["n_members"]) == {12}
    page = (root / "report.html").read_text()
    links = [unquote(link) for link in re.findall(r'href="(cells/[^"]+)"', page)]
    assert len(links) == 4
    assert all((root / link).is_file() for link in links)

    before = {path: path.stat().st_mtime_ns for path in root.rglob("model.ckpt")}
    lost = root / "cells" / "size=12,epochs=2" / "seed=0"
    (lost / "report" / "results.json").unlink()
    assert main(start) == 0
    pd.testing.assert_frame_equal(figures(pd.read_csv(root / "results.csv")), figures(table))
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("model.ckpt")}

    stopped = [*start[:-1], str(tmp_path / "stopped")]
    for _ in range(2):
        interrupt(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            run_command(stopped)
        monkeypatch.undo()
        assert "not begun, or interrupted" in (tmp_path / "stopped" / "report.html").read_text()
    assert main(stopped) == 0
    pd.testing.assert_frame_equal(figures(pd.read_csv(tmp_path / "stopped" / "results.csv")), figures(table))

    alone = tmp_path / "alone"
    audit = ["audit", "-c", str(root / "base.yaml"), "--data.design.n_units=24", "--trainer.max_epochs=2"]
    assert main([*audit, "--seed_everything=0", "--data.split_seed=0", "--run_dir", str(alone)]) == 0
    results = [json.loads((folder / "report" / "results.json").read_text()) for folder in (alone, lost)]
    assert results[0]["attacks"] == results[1]["attacks"]  # a cell is the audit that it says it is
    assert results[0]["controls"] == results[1]["controls"]


@pytest.mark.slow
def test_a_cell_takes_over_the_models_of_one_that_was_trained_alike(config: Path, tmp_path: Path) -> None:
    factors = {"masks": {"option": "probe.n_masks", "values": [1, 2]}}
    root = tmp_path / "R"
    assert main(["ablate", "-c", str(write_grid(tmp_path, config, factors=factors)), "--run_dir", str(root)]) == 0
    first, second = (root / "cells" / f"masks={n}" / "seed=0" for n in (1, 2))
    for name in ("target", "wrong_model", "untrained"):  # the record of a training has its seconds
        assert (first / name / "stage.json").read_bytes() == (second / name / "stage.json").read_bytes()
    table = pd.read_csv(root / "results.csv")
    of_loss = table[table["attack"] == "pretext_loss"].set_index("masks")
    assert of_loss.loc[1, "auroc"] != of_loss.loc[2, "auroc"]


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come when a cell has just ended."""

    def run_one(*arguments: Any) -> list[Failure]:
        *given, ended = arguments

        def and_stop() -> None:
            ended()
            raise KeyboardInterrupt

        return run_cells(*given, and_stop)

    monkeypatch.setattr("lightning_mia.audit.ablation.run.run_cells", run_one)


def figures(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="seconds")


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_cell_that_fails_or_dies_takes_no_other_with_it(n_workers: int, tmp_path: Path) -> None:
    deeds = {"a": well, "b": badly, "c": to_death, "d": well, "e": to_death}
    tasks: Any = [Deed(name, tmp_path, deed) for name, deed in deeds.items()]
    ended: list[None] = []
    failures = run_cells(tasks, LocalExecutor(n_workers), 0, 0, lambda: ended.append(None))
    told = {failure.job.name: failure.reason for failure in failures}
    assert set(told) == {"b", "c", "e"}
    assert "what a bug says" in told["b"]
    assert "SIGKILL" in told["c"]
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == ["a", "d"]
    assert len(ended) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_failed_cells_are_listed_and_picked_up_by_the_next_start(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"good": {}, "many": {"data.design.n_units": 24}}
    path = write_grid(tmp_path, config, factors={"size": {"values": values}})
    root = tmp_path / "R"
    broken = root / "cells" / "size=many" / "seed=0" / "target"
    broken.parent.mkdir(parents=True)
    broken.touch()  # a file where a folder has to be
    line = refused(capsys, "-c", str(path), "--run_dir", str(root))
    assert "1 of 2 cells failed" in line
    assert "size=many/seed=0" in line
    assert "size=many/seed=0" in (root / "report.html").read_text()
    assert set(pd.read_csv(root / "results.csv")["size"]) == {"good"}
    assert (broken.parent / "log.txt").read_text()
    broken.unlink()
    assert main(["ablate", "-c", str(path), "--run_dir", str(root)]) == 0
    assert set(pd.read_csv(root / "results.csv")["size"]) == {"good", "many"}
    assert "Not done" not in (root / "report.html").read_text()


def test_options_are_read_as_the_audit_reads_them(config: Path) -> None:
    options = AuditOptions(config, ["--trainer.log_every_n_steps", "5"])
    base, other = options.read({}), options.read({"model.dim": 32})
    assert base.settings["model"]["init_args"]["dim"] == 16
    assert other.settings["model"]["init_args"]["dim"] == 32
    assert base.judging == other.judging
    assert options.recordings(base.corpus) == options.recordings(other.corpus)
