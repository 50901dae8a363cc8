"""Local worker processes, running sample jobs."""

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
    """Ignores zombies, and the resource tracker of multiprocessing."""
    left = [child for child in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(child.cmdline())]
    return not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]


def run(
    jobs: list[Any], n_workers: int = 1, retries: int = 0, gpus: Sequence[str] = (), shares: list[float] | None = None
) -> list[Failure]:
    """Stop at the first failure, as for shadow models."""

    def stop(failure: Failure | None) -> None:
        if failure and isinstance(failure.end, Failed):
            raise failure.end.exception()

    reported = [] if shares is None else shares
    with LocalExecutor(n_workers, gpus) as executor:
        return run_all(jobs, executor, retries, reported.append, stop)


@pytest.mark.slow
def test_jobs_are_distributed_and_reported(
    sample_jobs: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("lightning_mia"), "handlers", [])  # that of a command line before this test
    jobs = [sample_jobs.Logging(f"{number}", tmp_path) for number in range(5)]
    shares: list[float] = []
    caplog.set_level("INFO", "lightning_mia")
    before = dict(os.environ)
    assert run(jobs, 2, gpus=["3", "GPU-5e"], shares=shares) == []
    assert sum(shares) == pytest.approx(5)
    assert sorted(caplog.messages) == [f"{number} speaks" for number in range(5)]
    facts = [(tmp_path / job.name).read_text().split() for job in jobs]
    processes = {(process, gpu) for process, gpu, *_ in facts}
    assert len(processes) == 2
    assert {gpu for _, gpu in processes} == {"3", "GPU-5e"}
    assert {(threads, ignored) for *_, threads, ignored in facts} == {(str(torch.get_num_threads()), "True")}
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    assert no_process_is_left()


@pytest.mark.slow
def test_the_first_failure_ends_all_workers(sample_jobs: ModuleType, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^bad cannot be done$"):
        run([sample_jobs.Endless("long", tmp_path), sample_jobs.Refused("bad", tmp_path)], 2)
    assert time.monotonic() - start < 300  # the endless one would take 600
    assert no_process_is_left()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "error", "expected"),
    [
        ("Broken", RuntimeError, "(?s)in a worker process.*ZeroDivisionError: a bug of ours"),
        (
            "NotPicklable",
            InputError,
            r"^bad cannot be sent to a worker process \(cannot pickle a lock\); give 1 worker",
        ),
    ],
)
def test_a_failed_job_raises_its_error(
    sample_jobs: ModuleType, tmp_path: Path, kind: str, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        run([getattr(sample_jobs, kind)("bad", tmp_path)])
    assert no_process_is_left()


@pytest.mark.slow
def test_killed_jobs_are_retried_a_limited_number_of_times(sample_jobs: ModuleType, tmp_path: Path) -> None:
    shares: list[float] = []
    jobs = [sample_jobs.Killed("bad", tmp_path), sample_jobs.KilledOnce("good", tmp_path)]
    (failure,) = run(jobs, 2, retries=1, shares=shares)
    assert failure.job.name == "bad"
    assert isinstance(failure.end, Lost)
    assert failure.reason == ("its worker process was killed (SIGKILL), perhaps for lack of memory, after 1 retry")
    assert (tmp_path / "good").exists()
    assert sum(shares) == pytest.approx(2)
    assert no_process_is_left()
