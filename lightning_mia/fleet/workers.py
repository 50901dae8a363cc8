"""The worker processes of a fleet, as the process sees them that starts them."""

import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import torch

from lightning_mia.errors import InputError
from lightning_mia.fleet.task import Task, Work
from lightning_mia.fleet.worker_process import Failed, News, work

SECONDS_TO_END = 2.0  # that a worker is given before it is killed


def run_in_processes(
    tasks: Sequence[Task], n_workers: int, advance: Callable[[float], None], gpus: Sequence[str] = ()
) -> None:
    """Do all tasks, several at a time; at the first that fails all workers are ended.

    A worker that is ended, or killed, leaves what it had saved, and the next start goes on from there.

    Args:
        tasks: in the order in which they are begun.
        n_workers: processes.
        advance: is called with the share of one task that was done since the last call.
        gpus: names of the GPUs over which the workers are spread, as CUDA_VISIBLE_DEVICES has them.

    Raises:
        InputError: what a task raises, or a worker was killed.
    """
    waiting = list(reversed(tasks))
    workers: list[Worker] = []
    try:
        with ctrl_c_put_off():  # until every worker is in the list, to be ended
            for place in range(n_workers):
                workers.append(Worker(gpus[place % len(gpus)] if gpus else None))
        busy = {}
        for worker in workers[: len(waiting)]:
            worker.give(waiting.pop())
            busy[worker.pipe] = worker
        while busy:
            for pipe in cast("list[Connection[Any, Any]]", wait(list(busy))):
                if _heed(busy[pipe].news(), advance):
                    continue
                if waiting:
                    busy[pipe].give(waiting.pop())
                else:
                    del busy[pipe]
    finally:
        for worker in workers:
            worker.life.close()
        for worker in workers:
            worker.end()


def _heed(news: News, advance: Callable[[float], None]) -> bool:
    """Take in what a worker tells; whether its task is still going on."""
    if isinstance(news, float):
        advance(news)
    elif isinstance(news, logging.LogRecord):
        log = logging.getLogger(news.name)
        if log.isEnabledFor(news.levelno):
            log.handle(news)
    elif isinstance(news, Failed):
        raise news.error()
    else:
        return False
    return True


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
        """Let it begin with a task.

        Raises:
            InputError: the task holds what cannot be sent to another process, or the process was killed.
        """
        self.task = task
        try:
            self.pipe.send(task)
        except OSError as error:
            raise self._killed() from error
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
            raise InputError(
                f"{task.name} cannot be handed to a worker process ({error}); give --fleet.workers 1"
            ) from error

    def news(self) -> News:
        """What it tells next.

        Raises:
            InputError: it was killed.
        """
        try:
            news: News = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._killed() from error
        return news

    def end(self) -> None:
        """See to it that the process ends, once its `life` is closed."""
        self.process.join(SECONDS_TO_END)
        self.process.kill()
        self.process.join()

    def how_it_ended(self) -> str:
        """In words, once the process is gone."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended (exit status {code})"

    def _killed(self) -> InputError:
        name = self.task.name if self.task else "no model"
        return InputError(
            f"A worker process of the fleet {self.how_it_ended()} at {name}, perhaps for want of memory; start the "
            "same command again to go on, or give fewer --fleet.workers"
        )


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
