"""Shadow models in several processes: same results; Ctrl-C, killed workers and a killed parent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from lightning_mia.models.checkpoint import model_from_checkpoint
from lightning_mia.models.learned_targets import targets_sha256
from lightning_mia.signals.table import Signals
from tests.audit.shadow_models.conftest import OWN, QUICK, assert_same_signals, assert_same_weights, run, shadow_files
from tests.close_signals import assert_close_signals
from tests.command_process import start_command
from tests.terminal import run_in_terminal


def command_line(command: str, config: Path, folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "lightning_mia", *arguments(command, config, folder, *options)]


def arguments(command: str, config: Path, folder: Path, *options: str) -> list[str]:
    quick = QUICK if command == "audit" else []
    return [command, "-c", str(config), "--run_dir", str(folder), *OWN, *quick, *options]


def with_bars(config: Path, folder: Path) -> Path:
    """The same config, with progress bars."""
    settings = yaml.safe_load(config.read_text())
    settings["trainer"]["enable_progress_bar"] = True
    (folder / "bars.yaml").write_text(yaml.safe_dump(settings))
    return folder / "bars.yaml"


@pytest.mark.slow
def test_two_workers_give_the_same_models_and_no_stray_output(audited: Path, config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2"]
    written = run_in_terminal(command_line("audit", with_bars(config, tmp_path), tmp_path, *options))
    assert shadow_files(tmp_path) == shadow_files(audited)
    assert_same_signals(tmp_path, audited)
    lines = [line for line in written.replace("\r", "\n").splitlines() if line.strip()]
    others = [line for line in lines if "%|" not in line and "[00:" not in line]  # bars of the first process
    assert others == ["lightning-mia: 6 models to train, 6 to probe"]
    assert not [line for line in lines if "shadows/" in line]  # of a single model
    assert [line for line in lines if line.startswith("Probing: ") and "4 shadow models" in line]
    assert [line for line in lines if line.startswith("Probing: 100%")]


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes that a command has started."""
    try:
        children = psutil.Process(pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: Callable[[], object], ended: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert not ended()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_gone(processes: list[psutil.Process], seconds: float = 30) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "while they start"),
        pytest.param(signal.SIGINT, "while they train", marks=pytest.mark.long),
        (signal.SIGTERM, "while they train"),
    ],
)
def test_ctrl_c_and_sigterm_end_all_workers_in_one_line(
    config: Path, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "400", "--data.num_workers", "1"]
    # A shell starts background jobs with SIGINT ignored, and children inherit that: undo it.
    reset_sigint = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command_line("shadow", config, tmp_path, *options),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=reset_sigint,
    ) as process:

        def ended() -> bool:
            return process.poll() is not None

        wait_until(lambda: len(workers_of(process.pid)) == 2, ended)
        workers = workers_of(process.pid)
        if moment == "while they train":
            wait_until(lambda: len(list(tmp_path.glob("shadows/*/last.ckpt"))) == 2, ended)
            workers = workers_of(process.pid)
            assert len(workers) == 4  # with those that read audio
        os.killpg(process.pid, number)  # as a terminal or a batch system does: to all processes at once
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("Decoding audio")]
    assert lines == ["lightning-mia: interrupted; run the same command again to resume"]
    assert all_gone(workers)


@pytest.fixture
def started(forkserver: ForkServerContext, config: Path, tmp_path: Path) -> Iterator[Callable[..., ForkServerProcess]]:
    """`started(folder, *options)`: the training of a fleet; what it says in error goes to `errors.txt`."""
    processes: list[ForkServerProcess] = []

    def start(folder: Path, *options: str) -> ForkServerProcess:
        command = arguments("shadow", config, folder, *options)
        processes.append(start_command(forkserver, command, tmp_path / "errors.txt"))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "killed (SIGKILL), perhaps for lack of memory"),
        pytest.param(signal.SIGTERM, "killed (SIGTERM)", marks=pytest.mark.long),
    ],
)
def test_a_killed_worker_is_replaced_and_its_model_resumed(
    started: Callable[..., ForkServerProcess], config: Path, tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    options = ["--fleet.size", "4", "--fleet.workers", "2", "--trainer.max_epochs", "20"]
    process = started(tmp_path / "killed", *options)
    wait_until(lambda: list(tmp_path.glob("killed/shadows/*/last.ckpt")), lambda: not process.is_alive())
    workers = workers_of(process.pid)
    workers[0].send_signal(number)
    process.join(240)
    errors = (tmp_path / "errors.txt").read_text()
    assert process.exitcode == 0, errors
    assert f"its worker process was {reason}; retry 1 of 2" in errors
    assert "Traceback" not in errors
    assert all_gone(workers)
    one_worker = [*options[:3], "1", *options[4:]]
    assert run("shadow", config, tmp_path / "undisturbed", *one_worker) == 0
    assert_same_weights(tmp_path / "killed", tmp_path / "undisturbed")


@pytest.mark.slow
def test_workers_end_with_their_parent(started: Callable[..., ForkServerProcess], tmp_path: Path) -> None:
    process = started(tmp_path, "--fleet.size", "2", "--fleet.workers", "2", "--trainer.max_epochs", "2000")
    wait_until(lambda: list(tmp_path.glob("shadows/*/last.ckpt")), lambda: not process.is_alive())
    workers = workers_of(process.pid)
    process.kill()
    assert len(workers) == 2
    assert all_gone(workers)


def signals_of_target(run_dir: Path) -> Signals:
    return Signals.load(next(run_dir.glob("probes/target-answers-*.npz")))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_shadow_models_on_two_processes_each(config: Path, tmp_path: Path, launcher: str) -> None:
    options = ["--fleet.size", "2", "--trainer.devices", "2", "--trainer.strategy", "ddp", "--data.batch_seconds", "2"]
    options += ["--fleet.targets", "victim"]
    command = command_line("audit", with_bars(config, tmp_path), tmp_path / "run", *options)
    if launcher == "torchrun":
        command[:3] = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "lightning_mia"]
    written = run_in_terminal(command)
    for model in ("target", "shadows/000", "shadows/001"):  # they share the recordings
        exposure = pd.read_csv(tmp_path / f"run/{model}/trained_utterances.csv")
        assert (exposure["times"] == 3).all()
        assert json.loads((tmp_path / f"run/{model}/stage.json").read_text())["record"]["epochs"] == 3
    assert len(list(tmp_path.glob("run/probes/shadows-00?-answers-*.npz"))) == 2
    trainings = [tmp_path / "run" / name for name in ("target", "shadows/000", "shadows/001")]
    hashes = {targets_sha256(model_from_checkpoint(folder / "model.ckpt")) for folder in trainings}
    assert len(hashes) == 1
    checkpoint = ["--target_checkpoint", str(tmp_path / "run/target/model.ckpt"), "--controls.wrong_model", "false"]
    assert run("attack", config, tmp_path / "alone", "--data.batch_seconds", "2", *checkpoint) == 0
    in_parts, whole = (signals_of_target(tmp_path / name) for name in ("run", "alone"))
    assert len(whole.scalars.columns) > 2
    assert_close_signals(in_parts, whole)  # of less than one batch for each process
    lines = [line for line in written.replace("\r", "\n").splitlines() if line.startswith("Probing: ")]
    assert lines and lines[-1].startswith("Probing: 100%"), written[-3000:]
    assert any("shadows/001: training" in line for line in lines)
    shares = [int(line[9:12]) for line in lines]
    assert shares == sorted(shares)  # one bar, that of the first process
