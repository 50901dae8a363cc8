"""Worker processes, with deeds in the place of trainings."""

import logging
import os
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import torch

from lightning_mia.errors import InputError
from lightning_mia.fleet.workers import run_in_processes


def no_process_is_left() -> bool:
    """Zombies apart; the tracker of multiprocessing's resources stays until the end."""
    left = [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    return not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_tasks_are_shared_out_and_told_of(
    deeds: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("lightning_mia"), "handlers", [])  # that of a command line before this test
    tasks = [deeds.Telling(f"{number}", tmp_path) for number in range(5)]
    shares: list[float] = []
    caplog.set_level("INFO", "lightning_mia")
    before = dict(os.environ)
    run_in_processes(tasks, 2, shares.append, gpus=["3", "GPU-5e"])
    assert sum(shares) == pytest.approx(5)
    assert sorted(caplog.messages) == [f"{number} speaks" for number in range(5)]
    facts = [(tmp_path / task.name).read_text().split() for task in tasks]
    processes = {(process, gpu) for process, gpu, *_ in facts}
    assert len(processes) == 2
    assert {gpu for _, gpu in processes} == {"3", "GPU-5e"}
    assert {(threads, ignored) for *_, threads, ignored in facts} == {(str(torch.get_num_threads()), "True")}
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    assert no_process_is_left()


@pytest.mark.slow
def test_the_first_failure_ends_all_workers(deeds: ModuleType, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^bad cannot be done$"):
        run_in_processes([deeds.Endless("long", tmp_path), deeds.Refused("bad", tmp_path)], 2, lambda _: None)
    assert time.monotonic() - start < 300  # the endless one would take 600
    assert no_process_is_left()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("Broken", RuntimeError, "(?s)in a worker process.*ZeroDivisionError: a bug of ours"),
        (
            "Killed",
            InputError,
            r"^A worker process of the fleet was killed \(SIGKILL\) at bad, .* start the same command",
        ),
        (
            "NotSendable",
            InputError,
            r"^bad cannot be handed to a worker process \(cannot pickle a lock\); give --fleet",
        ),
    ],
)
def test_how_a_worker_fails_is_told(
    deeds: ModuleType, tmp_path: Path, kind: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        run_in_processes([getattr(deeds, kind)("bad", tmp_path)], 1, lambda _: None)
    assert error is RuntimeError or "\n" not in str(raised.value)
    assert no_process_is_left()
