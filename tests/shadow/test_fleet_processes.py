"""A fleet in several processes, as a user starts it: what it gives, and how it ends by Ctrl-C, a kill and a death."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from tests.shadow.conftest import QUICK, assert_same_signals, assert_same_weights, run, shadow_files


def command_line(command: str, config: Path, folder: Path, *options: str) -> list[str]:
    quick = QUICK if command == "audit" else []
    return [
        *(sys.executable, "-m", "lightning_mia", command, "-c", str(config), "--run_dir", str(folder)),
        *(*quick, *options),
    ]


def with_bars(config: Path, folder: Path) -> Path:
    """The same config, with progress bars."""
    settings = yaml.safe_load(config.read_text())
    settings["trainer"]["enable_progress_bar"] = True
    (folder / "bars.yaml").write_text(yaml.safe_dump(settings))
    return folder / "bars.yaml"


@pytest.mark.slow
def test_two_workers_give_what_one_gives_and_nothing_stray(audited: Path, config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2"]
    ran = subprocess.run(
        command_line("audit", with_bars(config, tmp_path), tmp_path, *options),
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert shadow_files(tmp_path) == shadow_files(audited)
    assert_same_signals(tmp_path, audited)
    lines = [line for line in ran.stderr.replace("\r", "\n").splitlines() if line.strip()]
    assert [line for line in lines if "%|" not in line and "[00:" not in line] == []  # bars of the first process
    assert not [line for line in lines if "shadows" in line]  # of a single model
    assert [line for line in lines if line.startswith("Shadow models: 100%") and "4.0/4 models" in line]


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes that a command has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_gone(processes: list[psutil.Process], seconds: float = 30) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["while they start", "while they train"])
def test_ctrl_c_ends_a_fleet_of_workers_in_one_line(config: Path, tmp_path: Path, moment: str) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "400", "--data.num_workers", "1"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: undo it.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command_line("shadow", config, tmp_path, *options),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed,
    ) as process:
        wait_until(lambda: len(workers_of(process)) == 2, process)
        workers = workers_of(process)
        if moment == "while they train":
            wait_until(lambda: len(list(tmp_path.glob("shadows/*/last.ckpt"))) == 2, process)
            workers = workers_of(process)
            assert len(workers) == 4  # with those that read audio
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes at once
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("Decoding audio")]
    assert lines == ["lightning-mia: interrupted; start the same command again to go on"]
    assert all_gone(workers)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_model_goes_on(config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "20"]
    with subprocess.Popen(
        command_line("shadow", config, tmp_path / "killed", *options), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: list(tmp_path.glob("killed/shadows/*/last.ckpt")), process)
        workers = workers_of(process)
        workers[0].kill()
        _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "its worker process was killed (SIGKILL), perhaps for want of memory; retry 1 of 2" in errors
    assert "Traceback" not in errors
    assert all_gone(workers)
    one = [*options[:3], "1", *options[4:]]
    assert run("shadow", config, tmp_path / "undisturbed", *one) == 0
    assert_same_weights(tmp_path / "killed", tmp_path / "undisturbed")


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "2", "--fleet.workers", "2", "--trainer.max_epochs", "2000"]
    with subprocess.Popen(
        command_line("shadow", config, tmp_path, *options), stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: list(tmp_path.glob("shadows/*/last.ckpt")), process)
        workers = workers_of(process)
        process.kill()
        assert len(workers) == 2
        assert all_gone(workers)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_a_fleet_on_two_processes_a_model(config: Path, tmp_path: Path, launcher: str) -> None:
    options = ["--fleet.size", "2", "--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_seconds", "2"]
    command = command_line("audit", with_bars(config, tmp_path), tmp_path / "run", *options)
    if launcher == "torchrun":
        command[:3] = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "lightning_mia"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    for number in range(2):
        exposure = pd.read_csv(tmp_path / f"run/shadows/00{number}/trained_utterances.csv")
        assert (exposure["times"] == 3).all()
    assert len(list(tmp_path.glob("run/probes/shadows-00?-answers-*.npz"))) == 2
    done = [line for line in ran.stderr.replace("\r", "\n").splitlines() if "2.0/2 models" in line]
    assert done
    assert ran.stderr.count("Shadow models:   0%") == 1  # one bar, that of the first process
