"""A worker process, as the process sees it that starts it."""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker

import torch

from lightning_mia.errors import InputError
from lightning_mia.fleet.news import Lost, News
from lightning_mia.fleet.work import Work
from lightning_mia.fleet.worker_process import work

SECONDS_TO_END = 2.0  # that a worker is given before it is killed


class Worker:
    """A process that does one task at a time: a shadow model, or other `Work`.

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
        self.task: Work | None = None

    def give(self, task: Work) -> None:
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

    def news(self) -> News:
        """What it tells next, or that it is gone."""
        try:
            news: News = self.pipe.recv()
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
