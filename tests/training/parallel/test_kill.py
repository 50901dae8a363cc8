"""An audit with shadow models, killed at random moments: its rerun gives the same results."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lightning_mia.signals.table import Signals
from tests.command_process import start_command

MODELS = ("target", "wrong_model", "shadows/000", "shadows/001", "shadows/002", "shadows/003")
N_KILLS = int(os.environ.get("LIGHTNING_MIA_KILLS", "6"))  # 20 take several minutes
OF_WORKERS = max(1, N_KILLS // 6)
MAX_SECONDS = 300  # seconds of one start

Start = Callable[[Path, int], ForkServerProcess]


@pytest.fixture(scope="module")
def small_audit(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny config with shadow models, more epochs, and a short evaluation."""
    settings = yaml.safe_load(config.read_text())
    settings["trainer"]["max_epochs"] = 10
    settings["fleet"] = {"size": 4, "take_turns": False}
    settings["controls"] = {"untrained": False}
    settings["evaluation"] = {"n_redraws": 1000, "n_bootstraps": 1000}
    settings["attacks"] = [{"class_path": "lightning_mia.attacks.loss.PretextLoss"}]
    path = tmp_path_factory.mktemp("killed") / "small.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def start(forkserver: ForkServerContext, small_audit: Path, tmp_path: Path) -> Iterator[Start]:
    running: list[ForkServerProcess] = []

    def start(folder: Path, workers: int) -> ForkServerProcess:
        command = ["audit", "-c", str(small_audit), "--run_dir", str(folder), "--fleet.workers", str(workers)]
        running.append(start_command(forkserver, command, tmp_path / "log"))
        return running[-1]

    yield start
    for process in running:
        process.kill()


def finished(process: ForkServerProcess, seconds: float, log: Path) -> bool:
    """Wait at most some seconds; whether the audit finished."""
    process.join(seconds)
    assert process.exitcode in (None, 0), log.read_text()[-3000:]
    return process.exitcode == 0


def kill(process: ForkServerProcess) -> None:
    """Kill a command with all its processes, as `kill -9` of its group does."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no group of its own yet
        process.kill()
    process.join()


@dataclass(frozen=True)
class State:
    """Progress of a run.

    Attributes:
        trained: number of models.
        probed: number of models.
        training: whether a training has a checkpoint to resume from.
    """

    trained: int
    probed: int
    training: bool

    @property
    def complete(self) -> bool:
        """Only the evaluation is left, which is not interrupted here."""
        return self.probed == len(MODELS)


def state_of(folder: Path) -> State:
    trained, training = list(folder.glob("**/model.ckpt")), list(folder.glob("**/last.ckpt"))
    return State(len(trained), len(list(folder.glob("probes/[!.]*.npz"))), bool(training))


def assert_same_run(first: Path, second: Path) -> None:
    """Equal weights, exposures and signals, to the bit."""
    for model in MODELS:
        mine, theirs = (torch.load(folder / model / "model.ckpt", weights_only=True) for folder in (first, second))
        assert mine["lightning_mia"] == theirs["lightning_mia"]
        assert mine["state_dict"].keys() == theirs["state_dict"].keys()
        assert all(torch.equal(weights, theirs["state_dict"][name]) for name, weights in mine["state_dict"].items())
        exposures = [pd.read_csv(folder / model / "trained_utterances.csv") for folder in (first, second)]
        pd.testing.assert_frame_equal(*exposures)
        assert (exposures[0]["times"] == 10).all()
        files = [list(folder.glob(f"probes/{model.replace('/', '-')}-answers-*.npz")) for folder in (first, second)]
        assert [len(of_run) for of_run in files] == [1, 1]
        signals = [Signals.load(of_run[0]) for of_run in files]
        pd.testing.assert_frame_equal(signals[0].scalars, signals[1].scalars, check_exact=True)
        assert np.array_equal(signals[0].pooled, signals[1].pooled)
    attacks = [json.loads((folder / "report" / "results.json").read_text())["attacks"] for folder in (first, second)]
    assert attacks[0] == attacks[1]


AIMS: tuple[Callable[[State, State], bool], ...] = (  # of the first kills, so that no run is without them
    lambda before, now: now.training,
    lambda before, now: now.trained > before.trained,
    lambda before, now: now.probed > before.probed,
)


def wait_until(condition: Callable[[State], bool], process: ForkServerProcess, folder: Path, log: Path) -> None:
    """Wait until the run meets a condition, or ends."""
    deadline = time.monotonic() + MAX_SECONDS
    while not condition(state_of(folder)) and not finished(process, 0.02, log):
        assert time.monotonic() < deadline


@pytest.mark.slow
def test_a_killed_audit_resumes_to_the_same_results(start: Start, tmp_path: Path) -> None:
    log, undisturbed, folder = tmp_path / "log", tmp_path / "undisturbed", tmp_path / "run0"
    kill(start(tmp_path / "nothing", 1))  # now everything is imported
    since = time.monotonic()
    process = start(undisturbed, 1)
    wait_until(lambda state: state.complete, process, undisturbed, log)
    seconds = time.monotonic() - since
    assert finished(process, MAX_SECONDS, log)
    generator = np.random.default_rng(0)
    states: list[State] = []
    while len(states) < N_KILLS:
        of_workers = len(states) >= N_KILLS - OF_WORKERS
        before = state_of(folder)
        process = start(folder, 2 if of_workers else 1)
        if of_workers:  # which import everything first
            wait_until(lambda state, before=before: state != before, process, folder, log)
        if len(states) < len(AIMS):
            aim = AIMS[len(states)]
            wait_until(lambda state, before=before, aim=aim: aim(before, state), process, folder, log)
        else:
            finished(process, generator.uniform(0, 0.5 * seconds), log)
        if state_of(folder).complete:
            assert finished(process, MAX_SECONDS, log)
            assert_same_run(folder, undisturbed)
            folder = tmp_path / f"run{len(states)}"
        else:
            kill(process)
            states.append(state_of(folder))
    assert finished(start(folder, 1), MAX_SECONDS, log)
    assert_same_run(folder, undisturbed)
    assert len(set(states)) >= N_KILLS // 4, states
    assert any(state.training for state in states), states
    assert any(state.probed for state in states), states
