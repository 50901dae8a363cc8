"""Worker processes on this machine, each of which does one task after the other."""

from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from lightning_mia.fleet.news import Done, Failed, Lost, News
from lightning_mia.fleet.work import Work
from lightning_mia.fleet.workers import Worker, ctrl_c_put_off


class LocalEngine:
    """Does tasks in processes of its own; PyTorch is imported once a process, and not once a task.

    A task that brings its process down takes no other task with it: the next one gets a new process.

    Args:
        n_workers: tasks at a time.
        gpus: names of the GPUs over which the processes are spread, as CUDA_VISIBLE_DEVICES has them; empty: they
            compute elsewhere.
    """

    def __init__(self, n_workers: int, gpus: Sequence[str] = ()) -> None:
        self.places = [gpus[place % len(gpus)] if gpus else None for place in range(n_workers)]  # without a process
        self.started: list[Worker] = []
        self.idle: list[Worker] = []
        self.busy: dict[Any, Worker] = {}  # by its pipe

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.started:
            worker.life.close()
        for worker in self.started:
            worker.end()

    def has_room(self) -> bool:
        """Whether a process is idle, or one more may be started."""
        return bool(self.idle or self.places)

    def begin(self, task: Work) -> None:
        """Hand a task to a process.

        Raises:
            InputError: the task holds what cannot be sent to another process.
        """
        if not self.idle:
            with ctrl_c_put_off():  # until the worker is in the list, to be ended
                self.started.append(Worker(self.places.pop(0)))
            self.idle.append(self.started[-1])
        worker = self.idle.pop()
        self.busy[worker.pipe] = worker
        worker.give(task)

    def news(self) -> list[tuple[Work, News]]:
        """Wait until a process tells something, or is gone."""
        told: list[tuple[Work, News]] = []
        for pipe in cast("list[Connection[Any, Any]]", wait(list(self.busy))):
            worker = self.busy[pipe]
            news = worker.news()
            if isinstance(news, Done | Failed | Lost):
                del self.busy[pipe]
                if isinstance(news, Lost):
                    self.places.append(worker.gpu)
                else:
                    self.idle.append(worker)
            told.append((cast(Work, worker.task), news))
        return told
