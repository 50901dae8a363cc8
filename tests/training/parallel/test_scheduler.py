"""The scheduler, with an engine that says what it is told to say."""

import logging
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_mia.training.parallel.scheduler import Done, Failed, Failure, Lost, run_all

KILLED = Lost("it was killed")
BAD = Failed("bad", mendable=True)


class Scripted:
    """An engine with room for two; every start of a task takes the next list of news from the script."""

    def __init__(self, script: dict[str, list[list[Any]]]) -> None:
        self.script = script
        self.begun: list[str] = []
        self.going: dict[str, tuple[Any, deque[Any]]] = {}

    def has_room(self) -> bool:
        return len(self.going) < 2

    def begin(self, task: Any) -> None:
        assert self.has_room()
        self.begun.append(task.name)
        self.going[task.name] = task, deque(self.script[task.name].pop(0))

    def news(self) -> list[tuple[Any, Any]]:
        told = [(task, left.popleft()) for task, left in self.going.values()]
        self.going = {name: going for name, going in self.going.items() if going[1]}
        return told


def run(script: dict[str, list[list[Any]]], retries: int = 0) -> tuple[list[Failure], list[float], list[Any], Scripted]:
    engine, shares, ended = Scripted(script), list[float](), list[Any]()
    tasks: list[Any] = [SimpleNamespace(name=name) for name in script]
    return run_all(tasks, engine, retries, shares.append, ended.append), shares, ended, engine


def test_all_are_done_in_order_and_counted_once() -> None:
    failures, shares, ended, engine = run({"a": [[0.5, Done()]], "b": [[Done()]], "c": [[0.9, Done()]]})
    assert (failures, ended, engine.begun) == ([], [None] * 3, ["a", "b", "c"])
    assert sum(shares) == pytest.approx(3)


def test_a_task_waits_for_the_one_that_it_comes_after() -> None:
    engine, tasks = Scripted({"a": [[Done()]], "b": [[0.5, KILLED], [BAD]], "c": [[Done()]]}), []
    tasks += [SimpleNamespace(name=name) for name in engine.script]
    failures = run_all(tasks, engine, 1, lambda _: None, lambda _: None, {"a": "b", "c": "done before"})  # type: ignore[arg-type]
    assert engine.begun == ["b", "c", "b", "a"]  # not before it has ended for good, be it badly
    assert [failure.task.name for failure in failures] == ["b"]


def test_what_is_lost_is_begun_again_as_often_as_allowed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "lightning_mia")
    again = {"a": [[0.5, KILLED], [0.5, KILLED], [0.7, Done()]], "b": [[KILLED]] * 3, "c": [[Done()]]}
    failures, shares, _, engine = run(again, retries=2)
    assert [(failure.task.name, failure.reason) for failure in failures] == [("b", "it was killed, after 2 retries")]
    assert engine.begun.count("a") == engine.begun.count("b") == 3
    assert sum(shares) == pytest.approx(3)  # what a killed start had told is taken back
    assert "a: it was killed; retry 2 of 2" in caplog.messages


def test_what_cannot_be_helped_is_not_begun_again() -> None:
    for_good = Lost("no node", for_good=True)
    failures, _, ended, engine = run({"a": [[for_good]], "b": [[Failed("bad\nlast line", mendable=False)]]}, retries=5)
    assert [failure.reason for failure in failures] == ["no node", "last line"]
    assert ended == failures
    assert engine.begun == ["a", "b"]


def test_whoever_hears_of_a_failure_may_stop_everything() -> None:
    def stop(failure: Failure | None) -> None:
        assert failure is not None
        raise KeyboardInterrupt(failure.reason)

    engine = Scripted({"a": [[Failed("bad", mendable=True)]], "b": [[0.1] * 99]})
    with pytest.raises(KeyboardInterrupt, match="bad"):
        run_all([SimpleNamespace(name=name) for name in ("a", "b")], engine, 9, lambda _: None, stop)
