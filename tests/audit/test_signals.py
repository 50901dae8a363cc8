"""SIGTERM ends a command like Ctrl-C, whatever it is doing."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from lightning_mia.audit.cli import main
from lightning_mia.utilities.environment import sigterm_as_interrupt
from tests.command_process import start_command

QUICK = ["--attacks", "[PretextLoss]", "--controls.untrained", "false", "--controls.wrong_model", "false"]
STAGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "training": (lambda run: list(run.glob("target/tensorboard/events*")), ["--trainer.max_epochs", "100000"]),
    "probe": (lambda run: (run / "target" / "model.ckpt").exists(), ["--probe.n_masks", "1000"]),
    "evaluation": (lambda run: list(run.glob("probes/target-*.npz")), ["--evaluation.n_bootstraps", "1000000"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_sigterm_ends_an_audit(stage: str, config: Path, tmp_path: Path, forkserver: ForkServerContext) -> None:
    has_begun, slow = STAGES[stage]
    command = ["audit", "-c", str(config), "--run_dir", str(tmp_path / "run"), *QUICK, *slow]
    process = start_command(forkserver, command, tmp_path / "log")
    end = time.monotonic() + 60
    while not has_begun(tmp_path / "run"):
        assert process.is_alive() and time.monotonic() < end, (tmp_path / "log").read_text()
        time.sleep(0.05)
    time.sleep(1)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(20)
    assert process.exitcode == 130, (tmp_path / "log").read_text()
    assert "interrupted; run the same command again to resume" in (tmp_path / "log").read_text()
    assert not (tmp_path / "run" / "report" / "results.json").exists()


def test_the_former_handler_returns() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a library may have set its own in this process
    try:
        with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_handler_of_the_caller_is_kept() -> None:
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with sigterm_as_interrupt():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]


def test_head_may_close_the_pipe(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def write(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("lightning_mia.audit.configs.listing", write)
    monkeypatch.setattr("lightning_mia.audit.cli._close_stdout", lambda: None)
    assert main(["configs"]) == 0
    assert not capfd.readouterr().err
