import gc
import os

import pytest
import torch

from lightning_mia.utilities.environment import (
    other_versions,
    paused_garbage_collection,
    physical_cores,
    settle_threads,
)


@pytest.fixture
def _threads_restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_physical_cores_are_at_most_the_usable_logical_ones() -> None:
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0))


def test_logical_cores_are_counted_if_the_system_does_not_report_physical_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = ("not found", OSError("no lscpu"))
    monkeypatch.setattr("joblib.externals.loky.backend.context._count_physical_cores", lambda: unknown)
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_threads_restored")
def test_large_models_get_one_thread_per_physical_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("lightning_mia.utilities.environment.physical_cores", lambda: 3)
    settle_threads(10_000_000)
    assert torch.get_num_threads() == 3
    settle_threads(1000)
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("_threads_restored")
def test_the_environment_variable_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    settle_threads(1000)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_paused_and_then_as_before(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(gc, "isenabled", lambda: enabled)
    monkeypatch.setattr(gc, "disable", lambda: calls.append("disable"))
    monkeypatch.setattr(gc, "enable", lambda: calls.append("enable"))
    with pytest.raises(ImportError), paused_garbage_collection():
        raise ImportError
    assert calls == (["disable", "enable"] if enabled else ["disable"])


def test_packages_that_had_another_version_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "2.14.1", "lightning": "2.6.6"}
    monkeypatch.setattr("lightning_mia.utilities.environment.result_versions", lambda: installed)
    assert other_versions({}) == other_versions(installed) == []
    assert other_versions({"torch": "2.11.0", "unknown": "1"}) == ["torch 2.11.0, not 2.14.1"]
