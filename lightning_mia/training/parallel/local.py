"""Executor with worker processes on this machine."""

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
from lightning_mia.training.parallel.worker import run_worker
from lightning_mia.utilities.errors import InputError

SECONDS_TO_END = 2.0  # before a worker is killed


class LocalExecutor:
    """Runs jobs in worker processes on this machine.

    Each process runs several jobs, and imports PyTorch once. A job that crashes its process affects no other job: the
    next one gets a new process.

    Args:
        n_workers: maximum number of jobs at a time.
        gpus: GPUs for the processes, round-robin, named as in CUDA_VISIBLE_DEVICES; empty: not assigned.

    Example:
        >>> with LocalExecutor(n_workers=2) as executor:  # starts processes on demand
        ...     executor.has_capacity()
        True
    """

    def __init__(self, n_workers: int, gpus: Sequence[str] = ()) -> None:
        self.free_slots = [gpus[slot % len(gpus)] if gpus else None for slot in range(n_workers)]  # GPU of each
        self.started: list[Worker] = []
        self.idle: list[Worker] = []
        self.busy: dict[Any, Worker] = {}  # by pipe

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.started:
            worker.lifeline.close()
        for worker in self.started:
            worker.end()

    def has_capacity(self) -> bool:
        """Whether a process is idle or may be started."""
        return bool(self.idle or self.free_slots)

    def submit(self, job: Job) -> None:
        """Start a job in an idle or a new process.

        Raises:
            InputError: the job cannot be pickled.
        """
        if not self.idle:
            with sigint_blocked():  # until `started` contains the worker, so that `__exit__` ends it
                self.started.append(Worker(self.free_slots.pop(0)))
            self.idle.append(self.started[-1])
        worker = self.idle.pop()
        self.busy[worker.pipe] = worker
        worker.submit(job)

    def events(self) -> list[tuple[Job, Event]]:
        """Wait until a process sends an event, or is lost."""
        events: list[tuple[Job, Event]] = []
        for pipe in cast("list[Connection[Any, Any]]", wait(list(self.busy))):
            worker = self.busy[pipe]
            event = worker.receive()
            if isinstance(event, Done | Failed | Lost):
                del self.busy[pipe]
                if isinstance(event, Lost):
                    self.free_slots.append(worker.gpu)
                else:
                    self.idle.append(worker)
            events.append((cast(Job, worker.job), event))
        return events


class Worker:
    """Parent-side handle of a worker process.

    The process runs one job at a time.

    Args:
        gpu: the only GPU visible to it, named as in CUDA_VISIBLE_DEVICES; None: those of this process.
    """

    def __init__(self, gpu: str | None) -> None:
        self.gpu = gpu
        context = multiprocessing.get_context("spawn")  # a fork would copy threads and CUDA in an arbitrary state
        self.pipe, child_pipe = context.Pipe()
        child_lifeline, self.lifeline = context.Pipe(duplex=False)
        self.process = context.Process(target=run_worker, args=(child_pipe, child_lifeline, torch.get_num_threads()))
        visible = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        with _environment({"TQDM_DISABLE": "1", **visible}):  # the only progress bar is that of this process
            self.process.start()
        child_pipe.close()  # otherwise the pipe would stay open after the child has ended
        child_lifeline.close()
        self.job: Job | None = None

    def submit(self, job: Job) -> None:
        """Start a job.

        If the worker has been killed in the meantime, `receive` reports it.

        Raises:
            InputError: the job cannot be pickled.
        """
        self.job = job
        try:
            with suppress(OSError):
                self.pipe.send(job)
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
            raise InputError(f"{job.name} cannot be sent to a worker process ({error}); give 1 worker") from error

    def receive(self) -> Event:
        """Receive the next event, or the loss of the process."""
        try:
            event: Event = self.pipe.recv()
        except (EOFError, OSError):
            return Lost(f"its worker process {self._describe_end()}")
        return event

    def end(self) -> None:
        """Wait for the process to end, or kill it.

        Its lifeline has to be closed first.
        """
        self.process.join(SECONDS_TO_END)
        self.process.kill()
        self.process.join()

    def _describe_end(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"ended (exit status {code})"
        reason = ", perhaps for lack of memory" if -code == signal.SIGKILL else ""
        return f"was killed ({signal.Signals(-code).name}){reason}"


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Block SIGINT while a worker is spawned.

    The worker inherits the mask and never receives Ctrl-C.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # The first spawned process would start the tracker, which unblocks SIGINT. Its warnings about what killed workers
    # leave behind are of no interest.
    with _environment({"PYTHONWARNINGS": "ignore:resource_tracker"}):
        resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for processes started in this context."""
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
