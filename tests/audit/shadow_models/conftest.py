"""Shadow models on a tiny corpus, trained and audited once, and helpers to run and compare."""

import json
import os
import shutil
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch

from lightning_mia.audit.cli import main
from lightning_mia.signals.table import Signals
from lightning_mia.training import train

ATTACKS = [
    {"class_path": "lightning_mia.attacks.loss.PretextLoss"},
    {"class_path": "lightning_mia.attacks.lira.LiRA"},
]
QUICK = ["--attacks", json.dumps(ATTACKS), "--controls.untrained", "false", "--fleet.take_turns", "false"]
QUICK += ["--evaluation.n_redraws", "1000", "--evaluation.n_bootstraps", "1000"]
OWN = ["--fleet.targets", "own"]  # with the target's clusters, no shadow model is trained before the target


class StopsAt(train.LastCheckpoint):
    """Ends the training of one shadow model after an epoch's checkpoint, as a kill would."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self.path.parent.name == "002" and trainer.current_epoch == int(os.environ["STOPS_AT"]):
            raise RuntimeError("killed")


def run(command: str, config: Path, folder: Path, *options: str) -> int:
    options = (*OWN, *QUICK, *options) if command in ("audit", "attack") else (*OWN, *options)
    return main([command, "-c", str(config), "--run_dir", str(folder), *options])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one-line error of a command."""
    capsys.readouterr()
    assert run(*arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("lightning-mia: error: ")
    assert not [line for line in lines if "Traceback" in line]
    return lines[-1]


def shadow_files(folder: Path) -> dict[str, bytes]:
    """Read the checkpoints of all shadow models."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("shadows/*/model.ckpt")}


def assert_same_weights(one: Path, other: Path) -> None:
    """Weights are equal to the bit; files may differ in Lightning's count of epochs."""
    mine, theirs = shadow_files(one), shadow_files(other)
    assert mine.keys() == theirs.keys() != set()
    for name in mine:
        checkpoints = [torch.load(folder / name, weights_only=True) for folder in (one, other)]
        assert checkpoints[0]["lightning_mia"] == checkpoints[1]["lightning_mia"]
        weights, others = (checkpoint["state_dict"] for checkpoint in checkpoints)
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[key], others[key]) for key in weights)


def signal_files(folder: Path) -> dict[str, Signals]:
    return {path.name: Signals.load(path) for path in folder.glob("probes/[!.]*.npz") if "-answers-" in path.name}


def assert_same_signals(one: Path, other: Path) -> None:
    mine, theirs = signal_files(one), signal_files(other)
    assert mine.keys() == theirs.keys() != set()
    for name, signals in mine.items():
        pd.testing.assert_frame_equal(signals.scalars, theirs[name].scalars, check_exact=True)
        assert np.array_equal(signals.pooled, theirs[name].pooled)


def times_of(folder: Path) -> dict[Path, int]:
    """Return the modification times of all files that a second run must keep."""
    kept = [*folder.glob("*/model.ckpt"), *folder.glob("shadows/*/*.*"), *folder.glob("probes/*.npz")]
    return {path: path.stat().st_mtime_ns for path in [*kept, folder / "split.csv"]}


@pytest.fixture(scope="session")
def fleet(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four trained shadow models."""
    folder = tmp_path_factory.mktemp("fleets") / "four"
    assert run("shadow", config, folder, "--fleet.size", "4") == 0
    return folder


@pytest.fixture(scope="session")
def audited(fleet: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after an audit."""
    folder = tmp_path_factory.mktemp("fleets") / "audited"
    shutil.copytree(fleet, folder)
    assert run("audit", config, folder, "--fleet.size", "4") == 0
    return folder


@pytest.fixture
def copied(audited: Path, tmp_path: Path) -> Path:
    """A copy of the audited run, to be damaged."""
    return Path(shutil.copytree(audited, tmp_path / "run"))
