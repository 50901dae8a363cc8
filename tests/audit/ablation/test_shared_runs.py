"""Cells that use checkpoints of a longer run."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from lightning_mia.audit.ablation.cell import CellTask, SharedRun
from lightning_mia.audit.ablation.command import run as run_command
from lightning_mia.audit.ablation.grid import Factor, Grid, Plan
from lightning_mia.audit.ablation.shared_runs import Source, find_shared_runs
from lightning_mia.audit.cli import main
from lightning_mia.utilities.errors import InputError
from tests.audit.ablation.test_ablate import figures, interrupt, rejected

SIZES = {"values": {12: {"data.design.n_units": 24}, 24: {"data.design.n_units": 48}}}
EPOCHS = {"option": "trainer.max_epochs", "values": [1, 2, 4]}
SHARED: dict[str, Any] = {"factors": {"size": SIZES, "epochs": EPOCHS}, "seeds": 1, "share_longer_runs": True}


def write_grid(folder: Path, config: Path, **changes: Any) -> Path:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**SHARED, "base": str(config), **changes}, sort_keys=False))
    return path


def plan_of(share: bool = True, **factors: Factor) -> Plan:
    return Plan(Grid("base.yaml", factors, seeds=2, share_longer_runs=share))


def test_cells_that_differ_only_in_epochs_use_the_longest() -> None:
    plan = plan_of(size=Factor({"a": {}, "b": {}}), epochs=Factor([4, 1, 2], "trainer.max_epochs"))
    cells = plan.cells()
    shared = find_shared_runs(plan, cells)
    assert len(shared.sources) == 8
    source = shared.sources["size=b,epochs=2/seed=1"]
    assert (source.longest.name, source.epochs, source.total_epochs) == ("size=b,epochs=4/seed=1", 2, 4)
    assert shared.kept["size=a,epochs=4/seed=0"] == [1, 2]
    short, longest = (next(cell for cell in cells if cell.name == f"size=a,epochs={n}/seed=0") for n in (1, 4))
    assert shared.options(short)["trainer.max_epochs"] == 4
    assert shared.options(short)["trainer.stop_after_epochs"] == 1
    assert shared.options(longest) == longest.options
    assert shared.extra_options(longest) == {"trainer.keep_epochs": [1, 2]}
    assert not shared.extra_options(short)


def test_nothing_is_shared_by_default() -> None:
    plan = plan_of(share=False, epochs=Factor([1, 2], "trainer.max_epochs"))
    assert not find_shared_runs(plan, plan.cells()).sources


BAD_FACTORS = {
    "none over epochs": (Factor([0.0, 0.1], "model.dropout"), "requires a factor whose values set trainer.max_epochs"),
    "with other options": (
        Factor({"a": {"trainer.max_epochs": 1, "model.dropout": 0.1}, "b": {"trainer.max_epochs": 2}}),
        "and nothing else",
    ),
    "without an end": (Factor([3, -1], "trainer.max_epochs"), "factor x has -1"),
    "no number": (Factor(["many"], "trainer.max_epochs"), "factor x has 'many'"),
}


@pytest.mark.parametrize("kind", BAD_FACTORS)
def test_invalid_factors_are_rejected(kind: str) -> None:
    factor, message = BAD_FACTORS[kind]
    plan = plan_of(x=factor)
    with pytest.raises(InputError, match=message) as error:
        find_shared_runs(plan, plan.cells())
    assert "\n" not in str(error.value)


REJECTED = {
    "no factor over epochs": ({"factors": {"size": SIZES}}, [], "share_longer_runs requires a factor"),
    "another end": ({}, ["--trainer.max_steps", "3"], "trainer.stop_after_epochs and trainer.max_steps both end"),
    "a monitor that ends trainings": (
        {},
        ["--monitor.every_n_epochs=1", "--monitor.patience=1"],
        "and a monitor with patience both end",
    ),
    "an end of the base": ({"options": {"trainer.stop_after_epochs": 1}}, [], "remove it from the base"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", REJECTED)
def test_grids_that_cannot_share_are_rejected_before_anything_runs(
    kind: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, arguments, message = REJECTED[kind]
    start = ["-c", str(write_grid(tmp_path, config, **changes)), "--run_dir", str(tmp_path / "R")]
    assert message in rejected(capsys, *start, *arguments)
    assert not (tmp_path / "R").exists()


def test_a_shorter_cell_requires_its_longer_run(tmp_path: Path) -> None:
    plan = plan_of(epochs=Factor([1, 2], "trainer.max_epochs"))
    longest = CellTask("long", tmp_path / "long", (), {}, "")
    run = SharedRun(longest, Source(plan.cells()[1], 1, 2))
    with pytest.raises(InputError, match=r"uses checkpoints of cell long, which is not done; fix that cell first"):
        run.copy_checkpoints(tmp_path / "short")
    assert run.label(tmp_path / "short") == "epoch 1 of 2, trained for this cell"


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return state


def equal(path: Path, other: Path) -> bool:
    first, second = weights(path), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.long
@pytest.mark.slow
def test_a_grid_with_shared_runs(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = {"epochs": {**EPOCHS, "values": [2, 4]}}
    root = tmp_path / "R"
    fleet = ["--fleet.size=2", "--evaluation.n_redraws=1000", "--evaluation.n_bootstraps=1000"]
    fleet += ["--fleet.take_turns=false", "--attacks=[PretextLoss, LiRA]"]
    start = ["ablate", "-c", str(write_grid(tmp_path, config, factors=factors)), *fleet, "--run_dir"]
    assert main([*start, str(root)]) == 0
    assert "shorter cells use checkpoints of longer runs" in capsys.readouterr().out
    table = pd.read_csv(root / "results.csv", keep_default_na=False)
    labels = dict(zip(table["epochs"], table["trained_as"], strict=True))
    assert labels == {2: "epoch 2 of 4 of epochs=4/seed=0", 4: ""}
    assert "epoch 2 of 4" in (root / "report.html").read_text()

    short, longest = (root / "cells" / f"epochs={n}" / "seed=0" for n in (2, 4))
    assert "after epoch 2 of training runs scheduled for 4 epochs" in (short / "report" / "report.html").read_text()
    assert json.loads((short / "target" / "stage.json").read_text())["record"]["epochs"] == 2
    trainings = ["target", "wrong_model", "shadows/000", "shadows/001"]
    assert json.loads((short / "longer_run.json").read_text())["trainings"] == sorted(trainings)
    for name in trainings:
        assert equal(short / name / "model.ckpt", longest / name / "epoch_0002.ckpt")
        assert not equal(short / name / "model.ckpt", longest / name / "model.ckpt")

    alone = tmp_path / "alone"  # stopped at the same epoch, without a longer run
    audit = ["audit", "-c", str(root / "base.yaml"), *fleet, "--seed_everything=0", "--data.split_seed=0"]
    length = ["--trainer.max_epochs=4", "--trainer.stop_after_epochs=2"]
    assert main([*audit, *length, "--run_dir", str(alone)]) == 0
    for name in trainings:
        assert (alone / name / "model.ckpt").read_bytes() == (short / name / "model.ckpt").read_bytes()
        exposures = [folder / name / "trained_utterances.csv" for folder in (alone, short)]
        assert exposures[0].read_bytes() == exposures[1].read_bytes()
    results = [json.loads((folder / "report" / "results.json").read_text()) for folder in (alone, short)]
    assert results[0]["attacks"] == results[1]["attacks"]

    stopped = tmp_path / "stopped"
    interrupt(monkeypatch)  # after the longer run
    with pytest.raises(KeyboardInterrupt):
        run_command([*start, str(stopped)])
    monkeypatch.undo()
    assert set(pd.read_csv(stopped / "results.csv")["epochs"]) == {4}
    assert main([*start, str(stopped)]) == 0
    again = pd.read_csv(stopped / "results.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(figures(again), figures(table))

    assert "stop_after_epochs" in rejected(capsys, *start[1:], str(root), "--share_longer_runs=false")
