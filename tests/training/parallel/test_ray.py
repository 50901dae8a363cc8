"""Ray on this machine, two workers: one start of it for the whole file."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lightning_mia.training.parallel import ray as ray_executor
from lightning_mia.training.parallel.ray import RayExecutor
from lightning_mia.training.parallel.ray_cluster import connect
from lightning_mia.training.parallel.scheduler import Failed, Failure, run_all
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.errors import InputError
from tests.audit.shadow_models.conftest import run, shadow_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_of_two")]
SETTINGS = ExecutorSettings(workers=2, engine="ray")


@pytest.fixture(scope="module")
def ray_of_two(sample_jobs_path: str) -> Iterator[None]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", sample_jobs_path, prepend=os.pathsep)  # for the workers
        connect(SETTINGS)
    yield
    ray.shutdown()


def do(jobs: list[Any], folder: Path, retries: int = 0) -> list[Failure]:
    shares: list[float] = []
    with RayExecutor(SETTINGS, folder) as executor:
        failures = run_all(jobs, executor, retries, shares.append, lambda _: None)
    assert sum(shares) == pytest.approx(len(jobs))
    assert not list(folder.glob(".seen*"))
    return failures


@pytest.mark.usefixtures("forked_workers")  # the local ones
def test_the_checkpoints_are_those_of_local_processes(config: Path, tmp_path: Path) -> None:
    options = ["--fleet.size", "2", "--fleet.workers", "2"]
    assert run("shadow", config, tmp_path / "local", *options) == 0
    assert run("shadow", config, tmp_path / "ray", *options, "--fleet.engine", "ray") == 0
    local, ray = shadow_files(tmp_path / "local"), shadow_files(tmp_path / "ray")
    assert len(local) == 2
    assert local == ray


def test_log_and_outcome_of_a_job_reach_this_process(
    sample_jobs: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lightning_mia")
    jobs = [
        sample_jobs.Logging("well", tmp_path),
        sample_jobs.Killed("killed", tmp_path),
        sample_jobs.KilledOnce("killed once", tmp_path),
        sample_jobs.Refused("refused", tmp_path),
        sample_jobs.Broken("broken", tmp_path),
    ]
    failures = {failure.job.name: failure for failure in do(jobs, tmp_path, retries=1)}
    assert "well speaks" in caplog.messages
    assert "killed once: its worker process was killed, perhaps for lack of memory; retry 1 of 1" in caplog.messages
    assert (tmp_path / "killed once").exists()
    assert failures.keys() == {"killed", "refused", "broken"}
    assert failures["killed"].reason == "its worker process was killed, perhaps for lack of memory, after 1 retry"
    assert failures["refused"].end == Failed("refused cannot be done", user_error=True)
    assert failures["broken"].reason == "ZeroDivisionError: a bug of ours"
    _, gpu, threads, _ = (tmp_path / "well").read_text().split(" ")
    assert (gpu, threads) == ("", str(torch.get_num_threads()))


def test_unfinished_models_are_listed(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--fleet.size", "2", "--fleet.engine", "ray", "--fleet.gpus_per_model", "1"]
    assert run("shadow", config, tmp_path, *options) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    lost = "no node of the Ray cluster has a CPU and 1 GPU"
    assert f"2 of 2 models are not finished (shadows/000: {lost}; shadows/001: {lost}); run the same command" in line


def test_a_job_that_cannot_be_pickled_is_refused(sample_jobs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bad cannot be sent to a Ray cluster .*give the engine local"):
        do([sample_jobs.NotPicklable("bad", tmp_path)], tmp_path)


@pytest.mark.long
def test_a_node_without_the_run_directory_is_reported_in_one_line(
    sample_jobs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "write_text", lambda *_: None)  # the marker
    (failure,) = do([sample_jobs.SampleJob("a", tmp_path)], tmp_path)
    assert f"does not see {tmp_path}; give a --run_dir that all nodes of the Ray cluster share" in failure.reason


def test_running_jobs_end_with_the_executor(sample_jobs: ModuleType, tmp_path: Path) -> None:
    with RayExecutor(SETTINGS, tmp_path) as executor:
        executor.submit(sample_jobs.Endless("long", tmp_path))
        while not (tmp_path / "long").exists():
            executor.events()
    process = int((tmp_path / "long").read_text())
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
