"""Ray on this machine, two workers: one start of it for the whole file."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lightning_mia.training.parallel import ray as ray_engine
from lightning_mia.training.parallel.ray import RayExecutor
from lightning_mia.training.parallel.ray_cluster import join
from lightning_mia.training.parallel.scheduler import Failed, Failure, run_all
from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.utilities.errors import InputError
from tests.audit.shadow_models.conftest import run, shadow_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_of_two")]
SETTINGS = EngineSettings(workers=2, engine="ray")


@pytest.fixture(scope="module")
def ray_of_two(deeds_path: str) -> Iterator[None]:
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", deeds_path, prepend=os.pathsep)  # for the workers
        join(SETTINGS)
    yield
    ray.shutdown()


def do(tasks: list[Any], folder: Path, retries: int = 0) -> list[Failure]:
    shares: list[float] = []
    with RayExecutor(SETTINGS, folder) as engine:
        failures = run_all(tasks, engine, retries, shares.append, lambda _: None)
    assert sum(shares) == pytest.approx(len(tasks))
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


def test_what_a_task_says_and_how_it_ends_reaches_this_process(
    deeds: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lightning_mia")
    tasks = [
        deeds.Telling("well", tmp_path),
        deeds.Killed("killed", tmp_path),
        deeds.KilledOnce("killed once", tmp_path),
        deeds.Refused("refused", tmp_path),
        deeds.Broken("broken", tmp_path),
    ]
    failures = {failure.task.name: failure for failure in do(tasks, tmp_path, retries=1)}
    assert "well speaks" in caplog.messages
    assert "killed once: its worker process was killed, perhaps for want of memory; retry 1 of 1" in caplog.messages
    assert (tmp_path / "killed once").exists()
    assert failures.keys() == {"killed", "refused", "broken"}
    assert failures["killed"].reason == "its worker process was killed, perhaps for want of memory, after 1 retry"
    assert failures["refused"].end == Failed("refused cannot be done", mendable=True)
    assert failures["broken"].reason == "ZeroDivisionError: a bug of ours"
    _, gpu, threads, _ = (tmp_path / "well").read_text().split(" ")
    assert (gpu, threads) == ("", str(torch.get_num_threads()))


def test_models_that_are_not_done_are_listed(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--fleet.size", "2", "--fleet.engine", "ray", "--fleet.gpus_per_model", "1"]
    assert run("shadow", config, tmp_path, *options) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    lost = "no node of the Ray cluster has a CPU and 1 GPU"
    assert f"2 of 2 models are not done (shadows/000: {lost}; shadows/001: {lost}); start the same command" in line


def test_a_task_that_cannot_be_sent_is_refused(deeds: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bad cannot be sent to a Ray cluster .*give the engine local"):
        do([deeds.NotSendable("bad", tmp_path)], tmp_path)


def test_a_node_that_does_not_see_the_run_is_told_in_one_line(
    deeds: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "write_text", lambda *_: None)  # the marker
    (failure,) = do([deeds.Deed("a", tmp_path)], tmp_path)
    assert f"does not see {tmp_path}; give a --run_dir that all nodes of the Ray cluster share" in failure.reason


def test_what_is_going_on_is_ended_with_the_engine(deeds: ModuleType, tmp_path: Path) -> None:
    with RayExecutor(SETTINGS, tmp_path) as engine:
        engine.begin(deeds.Endless("long", tmp_path))
        while not (tmp_path / "long").exists():
            engine.news()
    process = int((tmp_path / "long").read_text())
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
