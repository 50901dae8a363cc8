"""`lightning-mia ablate`: invalid input, complete grids, failures and interruptions."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest
import yaml

from lightning_mia.audit.ablation.audit_options import OptionsReader
from lightning_mia.audit.ablation.cell import CellTask
from lightning_mia.audit.ablation.command import run as run_command
from lightning_mia.audit.ablation.grid import Factor, Grid
from lightning_mia.audit.ablation.grid_run import GridRun, run_cells
from lightning_mia.audit.cli import main
from lightning_mia.training.parallel.local import LocalExecutor
from lightning_mia.training.parallel.scheduler import Failure
from lightning_mia.utilities.stage import Stage
from tests.audit.ablation.planted_tasks import PlantedTask, die, fail, succeed

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


def rejected(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
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
    "a value of the wrong type": (factor("trainer.max_epochs", 3, "many"), ["Factor x, value many", "whole number"]),
    "a value that the audit refuses": (factor("fleet.size", 2, 3), ["Factor x, value 3", "pairs"]),
    "no such option for all cells": ({"options": {"data.no": 1}}, ["The base config", "no"]),
    "no such base": ({"base": "nowhere.yaml"}, ["Base config nowhere.yaml not found"]),
    "another key": ({"factor": {"x": 1}}, ["factor"]),
    "seeds that are none": ({"seeds": "three"}, ["seeds"]),
    "too many cells": ({"seeds": 1000}, ["4000 cells", "--yes"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD_GRIDS)
def test_invalid_grids_are_rejected_before_anything_runs(
    kind: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, messages = BAD_GRIDS[kind]
    line = rejected(capsys, "-c", str(write_grid(tmp_path, config, **changes)), "--run_dir", str(tmp_path / "R"))
    assert all(message in line for message in messages)
    assert not (tmp_path / "R").exists()


BAD_ARGUMENTS = {
    "an option that is varied": (["--trainer.max_epochs", "3"], "varied by factor epochs"),
    "an option of the seeds": (["--seed_everything=3"], "--seeds"),
    "no such option": (["--trainer.nothing", "3"], "nothing"),
    "no workers": (["--workers", "0"], "--workers is 0"),
    "several devices a cell": (["--workers", "2", "--trainer.devices", "2"], "trainer.devices is 2"),
    "a word too many": (["--yes", "please"], "please: unexpected word"),
    "a manifest without its option": (["M.csv"], "a manifest is given as --data.corpus.path M.csv"),
    "the config of an audit": (["-c", "audit/manifest"], "is the config of an audit, not a grid"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BAD_ARGUMENTS)
def test_invalid_arguments_are_rejected(
    kind: str, grid_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD_ARGUMENTS[kind]
    assert message in rejected(capsys, "-c", str(grid_file), "--run_dir", str(tmp_path / "R"), *arguments)
    assert not (tmp_path / "R").exists()


def test_help_lists_the_options(capsys: pytest.CaptureFixture[str]) -> None:
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
    """Record the cells instead of running them."""
    tasks: list[CellTask] = []

    def record(cells: list[CellTask], *_: Any) -> list[Any]:
        tasks[:] = cells
        return []

    monkeypatch.setattr("lightning_mia.audit.ablation.grid_run.run_cells", record)
    return tasks


@pytest.mark.slow
def test_a_folder_belongs_to_one_grid(
    grid_file: Path, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nothing_runs: list[CellTask]
) -> None:
    root = tmp_path / "R"
    start = ["-c", str(grid_file), "--run_dir", str(root)]
    assert main(["ablate", *start]) == 0
    assert [task.name for task in nothing_runs] == [f"size={s},epochs={e}/seed=0" for s in (12, 24) for e in (1, 2)]
    assert main(["ablate", *start, "--seeds", "2", "--trainer.enable_progress_bar", "true"]) == 0  # more seeds
    assert len(nothing_runs) == 8
    assert "different settings" in rejected(capsys, *start, "--data.batch_seconds", "4")
    other = {"factors": {"epochs": {"option": "trainer.max_epochs", "values": [1]}}}
    assert "factors" in rejected(capsys, "-c", str(write_grid(tmp_path, config, **other)), "--run_dir", str(root))
    write_grid(tmp_path, config)
    (root / "results.csv").write_text("a,b\n1,2\n")
    assert "results.csv has no column size" in rejected(capsys, *start)
    (root / "results.csv").unlink()
    stage = json.loads((root / "stage.json").read_text())
    made_with = {**stage["settings"], "versions": {**stage["settings"]["versions"], "lightning-mia": "0.0.1"}}
    (root / "stage.json").unlink()
    Stage(root, made_with).begin()
    assert "versions.lightning-mia: 0.0.1 stored" in rejected(capsys, *start)
    (root / "stage.json").unlink()
    (root / "split.csv").touch()
    assert "contains split.csv" in rejected(capsys, *start)


@pytest.mark.slow
def test_cells_with_the_same_trainings_share_their_models(
    config: Path, tmp_path: Path, nothing_runs: list[CellTask]
) -> None:
    factors = {"factors": {"masks": {"option": "probe.n_masks", "values": [1, 2]}, "epochs": GRID["factors"]["epochs"]}}
    path = write_grid(tmp_path, config, **factors)
    run_command(["ablate", "-c", str(path), "--run_dir", str(tmp_path / "R")])
    siblings = {task.name: [folder.parent.name for folder in task.siblings] for task in nothing_runs}
    assert siblings["masks=1,epochs=2/seed=0"] == ["masks=2,epochs=2"]
    assert len({task.evaluation for task in nothing_runs}) == 2


def test_values_of_factors_override_options_for_all_cells(
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


SHIPPED = sorted(GRIDS.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_grid_is_valid(
    path: Path, speakers_manifest: Path, tmp_path: Path, nothing_runs: list[CellTask]
) -> None:
    run_command(
        ["ablate", "-c", str(path), "--data.corpus.path", str(speakers_manifest), "--run_dir", str(tmp_path / "R")]
    )
    assert len(nothing_runs) >= 6
    assert path.read_text().startswith("# ")


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_a_complete_grid(
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
        assert "not started or interrupted" in (tmp_path / "stopped" / "report.html").read_text()
    assert main(stopped) == 0
    pd.testing.assert_frame_equal(figures(pd.read_csv(tmp_path / "stopped" / "results.csv")), figures(table))

    alone = tmp_path / "alone"
    audit = ["audit", "-c", str(root / "base.yaml"), "--data.design.n_units=24", "--trainer.max_epochs=2"]
    assert main([*audit, "--seed_everything=0", "--data.split_seed=0", "--run_dir", str(alone)]) == 0
    results = [json.loads((folder / "report" / "results.json").read_text()) for folder in (alone, lost)]
    assert results[0]["attacks"] == results[1]["attacks"]  # a cell equals the same audit alone
    assert results[0]["controls"] == results[1]["controls"]


@pytest.mark.slow
def test_a_cell_copies_the_models_of_one_with_the_same_trainings(config: Path, tmp_path: Path) -> None:
    factors = {"masks": {"option": "probe.n_masks", "values": [1, 2]}}
    root = tmp_path / "R"
    assert main(["ablate", "-c", str(write_grid(tmp_path, config, factors=factors)), "--run_dir", str(root)]) == 0
    first, second = (root / "cells" / f"masks={n}" / "seed=0" for n in (1, 2))
    for name in ("target", "wrong_model", "untrained"):  # the record of a training has its seconds
        assert (first / name / "stage.json").read_bytes() == (second / name / "stage.json").read_bytes()
    table = pd.read_csv(root / "results.csv")
    pretext_loss = table[table["attack"] == "pretext_loss"].set_index("masks")
    assert pretext_loss.loc[1, "auroc"] != pretext_loss.loc[2, "auroc"]


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate Ctrl-C after the first cell."""

    def run_one(*arguments: Any) -> list[Failure]:
        *given, ended = arguments

        def end_and_stop() -> None:
            ended()
            raise KeyboardInterrupt

        return run_cells(*given, end_and_stop)

    monkeypatch.setattr("lightning_mia.audit.ablation.grid_run.run_cells", run_one)


def figures(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns="seconds")


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_cells_that_fail_or_die_do_not_affect_others(n_workers: int, tmp_path: Path) -> None:
    actions = {"a": succeed, "b": fail, "c": die, "d": succeed, "e": die}
    tasks: Any = [PlantedTask(name, tmp_path, action) for name, action in actions.items()]
    ended: list[None] = []
    failures = run_cells(tasks, LocalExecutor(n_workers), 0, 0, lambda: ended.append(None))
    reasons = {failure.job.name: failure.reason for failure in failures}
    assert set(reasons) == {"b", "c", "e"}
    assert "message of a bug" in reasons["b"]
    assert "SIGKILL" in reasons["c"]
    assert sorted(path.stem for path in tmp_path.glob("*.done")) == ["a", "d"]
    assert len(ended) == 5


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
def test_failed_cells_are_listed_and_run_by_the_next_start(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"good": {}, "many": {"data.design.n_units": 24}}
    path = write_grid(tmp_path, config, factors={"size": {"values": values}})
    root = tmp_path / "R"
    broken = root / "cells" / "size=many" / "seed=0" / "target"
    broken.parent.mkdir(parents=True)
    broken.touch()  # a file instead of a folder
    line = rejected(capsys, "-c", str(path), "--run_dir", str(root))
    assert "1 of 2 cells failed" in line
    assert "size=many/seed=0" in line
    assert "size=many/seed=0" in (root / "report.html").read_text()
    assert set(pd.read_csv(root / "results.csv")["size"]) == {"good"}
    assert (broken.parent / "log.txt").read_text()
    broken.unlink()
    assert main(["ablate", "-c", str(path), "--run_dir", str(root)]) == 0
    assert set(pd.read_csv(root / "results.csv")["size"]) == {"good", "many"}
    assert "Unfinished cells" not in (root / "report.html").read_text()


def test_options_are_parsed_like_those_of_an_audit(config: Path) -> None:
    reader = OptionsReader(config, ["--trainer.log_every_n_steps", "5"])
    base, other = reader.read({}), reader.read({"model.dim": 32})
    assert base.settings["model"]["class_path"].startswith("lightning_mia.models.")  # part of hashes: must not change
    assert base.settings["data"]["design"]["class_path"] == "lightning_mia.split.UtteranceDesign"
    assert base.settings["model"]["init_args"]["dim"] == 16
    assert other.settings["model"]["init_args"]["dim"] == 32
    assert base.evaluation == other.evaluation
    assert reader.recordings(base.corpus) == reader.recordings(other.corpus)


def test_a_grid_writes_no_credentials(config: Path, tmp_path: Path) -> None:
    base, root = tmp_path / "base.yaml", tmp_path / "run"
    published = {"attack": "loss", "level": "utterance", "advantage": 0.1, "source": "https://user:secret@host/x"}
    base.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "published": [published]}))
    epochs = {"epochs": Factor([1, 2], option="trainer.max_epochs")}
    grid = GridRun(Grid(str(base), epochs, seeds=1), "g", None, root, command="lightning-mia ablate")
    grid._plan(yes=False)
    grid._begin()
    assert "https://host/x" in (root / "base.yaml").read_text()
    assert not [path for path in root.rglob("*") if path.is_file() and "secret" in path.read_text()]
    assert {task.arguments[2] for _, task in grid.tasks} == {str(base)}  # the copy lacks what the cells may need
