"""The scheduler, with a scripted executor."""

import logging
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_mia.training.parallel.scheduler import Done, Failed, Failure, Lost, run_all

KILLED = Lost("it was killed")
BAD = Failed("bad", user_error=True)


class ScriptedExecutor:
    """An executor for two jobs; each start of a job takes its next list of events from the script."""

    def __init__(self, script: dict[str, list[list[Any]]]) -> None:
        self.script = script
        self.submitted: list[str] = []
        self.running: dict[str, tuple[Any, deque[Any]]] = {}

    def has_capacity(self) -> bool:
        return len(self.running) < 2

    def submit(self, job: Any) -> None:
        assert self.has_capacity()
        self.submitted.append(job.name)
        self.running[job.name] = job, deque(self.script[job.name].pop(0))

    def events(self) -> list[tuple[Any, Any]]:
        events = [(job, remaining.popleft()) for job, remaining in self.running.values()]
        self.running = {name: running for name, running in self.running.items() if running[1]}
        return events


def run(
    script: dict[str, list[list[Any]]], retries: int = 0
) -> tuple[list[Failure], list[float], list[Any], ScriptedExecutor]:
    executor, shares, ends = ScriptedExecutor(script), list[float](), list[Any]()
    jobs: list[Any] = [SimpleNamespace(name=name) for name in script]
    return run_all(jobs, executor, retries, shares.append, ends.append), shares, ends, executor


def test_all_jobs_run_in_order_and_count_once() -> None:
    failures, shares, ends, executor = run({"a": [[0.5, Done()]], "b": [[Done()]], "c": [[0.9, Done()]]})
    assert (failures, ends, executor.submitted) == ([], [None] * 3, ["a", "b", "c"])
    assert sum(shares) == pytest.approx(3)


def test_a_job_waits_for_its_predecessor() -> None:
    executor, jobs = ScriptedExecutor({"a": [[Done()]], "b": [[0.5, KILLED], [BAD]], "c": [[Done()]]}), []
    jobs += [SimpleNamespace(name=name) for name in executor.script]
    failures = run_all(jobs, executor, 1, lambda _: None, lambda _: None, {"a": "b", "c": "done before"})  # type: ignore[arg-type]
    assert executor.submitted == ["b", "c", "b", "a"]  # not before its final end, even a failure
    assert [failure.job.name for failure in failures] == ["b"]


def test_lost_jobs_are_retried_as_often_as_allowed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "lightning_mia")
    script = {"a": [[0.5, KILLED], [0.5, KILLED], [0.7, Done()]], "b": [[KILLED]] * 3, "c": [[Done()]]}
    failures, shares, _, executor = run(script, retries=2)
    assert [(failure.job.name, failure.reason) for failure in failures] == [("b", "it was killed, after 2 retries")]
    assert executor.submitted.count("a") == executor.submitted.count("b") == 3
    assert sum(shares) == pytest.approx(3)  # progress of a killed start is taken back
    assert "a: it was killed; retry 2 of 2" in caplog.messages


def test_permanent_losses_and_failures_are_not_retried() -> None:
    no_node = Lost("no node", permanent=True)
    script = {"a": [[no_node]], "b": [[Failed("bad\nlast line", user_error=False)]]}
    failures, _, ends, executor = run(script, retries=5)
    assert [failure.reason for failure in failures] == ["no node", "last line"]
    assert ends == failures
    assert executor.submitted == ["a", "b"]


def test_an_exception_on_a_failure_stops_everything() -> None:
    def stop(failure: Failure | None) -> None:
        assert failure is not None
        raise KeyboardInterrupt(failure.reason)

    executor = ScriptedExecutor({"a": [[Failed("bad", user_error=True)]], "b": [[0.1] * 99]})
    with pytest.raises(KeyboardInterrupt, match="bad"):
        run_all([SimpleNamespace(name=name) for name in ("a", "b")], executor, 9, lambda _: None, stop)
