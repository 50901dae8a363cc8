"""A worker process, as the process sees it that starts it."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import torch

from lightning_mia.training.parallel.scheduler import Done, Event, Failed, Job, Lost
from lightning_mia.training.parallel.worker import work
from lightning_mia.utilities.errors import InputError

SECONDS_TO_END = 2.0  # that a worker is given before it is killed


class Worker:
    """A process that does one task at a time: a shadow model, or other `Job`.

    Args:
        gpu: the only one that it sees, as CUDA_VISIBLE_DEVICES has it; None: whatever this process sees.
    """

    def __init__(self, gpu: str | None) -> None:
        self.gpu = gpu
        context = multiprocessing.get_context("spawn")  # a fork would copy threads and CUDA in the middle of something
        self.pipe, theirs = context.Pipe()
        its_life, self.life = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(theirs, its_life, torch.get_num_threads()))
        of_gpu = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        with _environment({"TQDM_DISABLE": "1", **of_gpu}):  # this process has the one bar
            self.process.start()
        theirs.close()  # or the end of the process would not close the pipe
        its_life.close()
        self.task: Job | None = None

    def give(self, task: Job) -> None:
        """Let it begin with a task; of one that was killed meanwhile the news tell.

        Raises:
            InputError: the task holds what cannot be sent to another process.
        """
        self.task = task
        try:
            with suppress(OSError):
                self.pipe.send(task)
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
            raise InputError(f"{task.name} cannot be handed to a worker process ({error}); give 1 worker") from error

    def news(self) -> Event:
        """What it tells next, or that it is gone."""
        try:
            news: Event = self.pipe.recv()
        except (EOFError, OSError):
            return Lost(f"its worker process {self._how_it_ended()}, perhaps for want of memory")
        return news

    def end(self) -> None:
        """See to it that the process ends, once its `life` is closed."""
        self.process.join(SECONDS_TO_END)
        self.process.kill()
        self.process.join()

    def _how_it_ended(self) -> str:
        """In words, once the process is gone."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended (exit status {code})"


@contextmanager
def ctrl_c_put_off() -> Iterator[None]:
    """Let Ctrl-C wait; a process that is started meanwhile never gets it, not even before its first line."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # The first process would start it otherwise, and let Ctrl-C through. It clears away what killed workers leave
    # behind; that it does is of no interest.
    with _environment({"PYTHONWARNINGS": "ignore:resource_tracker"}):
        resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a process that is started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class LocalExecutor:
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

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.started:
            worker.life.close()
        for worker in self.started:
            worker.end()

    def has_room(self) -> bool:
        """Whether a process is idle, or one more may be started."""
        return bool(self.idle or self.places)

    def begin(self, task: Job) -> None:
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

    def news(self) -> list[tuple[Job, Event]]:
        """Wait until a process tells something, or is gone."""
        told: list[tuple[Job, Event]] = []
        for pipe in cast("list[Connection[Any, Any]]", wait(list(self.busy))):
            worker = self.busy[pipe]
            news = worker.news()
            if isinstance(news, Done | Failed | Lost):
                del self.busy[pipe]
                if isinstance(news, Lost):
                    self.places.append(worker.gpu)
                else:
                    self.idle.append(worker)
            told.append((cast(Job, worker.task), news))
        return told
