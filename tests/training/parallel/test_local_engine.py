"""Worker processes, with deeds in the place of trainings."""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import torch

from lightning_mia.training.parallel.local import LocalExecutor
from lightning_mia.training.parallel.scheduler import Failed, Failure, Lost, run_all
from lightning_mia.utilities.errors import InputError


def no_process_is_left() -> bool:
    """Zombies apart; the tracker of multiprocessing's resources stays until the end."""
    left = [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    return not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


def run(
    tasks: list[Any], n_workers: int = 1, retries: int = 0, gpus: Sequence[str] = (), shares: list[float] | None = None
) -> list[Failure]:
    """Stop at what fails, as a fleet does."""

    def stop(failure: Failure | None) -> None:
        if failure and isinstance(failure.end, Failed):
            raise failure.end.error()

    told = [] if shares is None else shares
    with LocalExecutor(n_workers, gpus) as engine:
        return run_all(tasks, engine, retries, told.append, stop)


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
    assert run(tasks, 2, gpus=["3", "GPU-5e"], shares=shares) == []
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
        run([deeds.Endless("long", tmp_path), deeds.Refused("bad", tmp_path)], 2)
    assert time.monotonic() - start < 300  # the endless one would take 600
    assert no_process_is_left()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("Broken", RuntimeError, "(?s)in a worker process.*ZeroDivisionError: a bug of ours"),
        (
            "NotSendable",
            InputError,
            r"^bad cannot be handed to a worker process \(cannot pickle a lock\); give 1 worker",
        ),
    ],
)
def test_how_a_task_fails_is_told(
    deeds: ModuleType, tmp_path: Path, kind: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        run([getattr(deeds, kind)("bad", tmp_path)])
    assert no_process_is_left()


@pytest.mark.slow
def test_what_was_killed_is_begun_again_but_not_for_ever(deeds: ModuleType, tmp_path: Path) -> None:
    shares: list[float] = []
    tasks = [deeds.Killed("bad", tmp_path), deeds.KilledOnce("good", tmp_path)]
    (failure,) = run(tasks, 2, retries=1, shares=shares)
    assert failure.task.name == "bad"
    assert isinstance(failure.end, Lost)
    assert failure.reason == ("its worker process was killed (SIGKILL), perhaps for want of memory, after 1 retry")
    assert (tmp_path / "good").exists()
    assert sum(shares) == pytest.approx(2)
    assert no_process_is_left()
