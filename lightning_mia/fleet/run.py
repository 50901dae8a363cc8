"""Go through the tasks of a fleet, one after the other or several at a time."""

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue

import torch

from lightning_mia.errors import InputError
from lightning_mia.fleet.progress import FleetBar
from lightning_mia.fleet.task import Task
from lightning_mia.quiet import quieten

WITHOUT_NEWS = None  # ends the thread that reads the workers' news

_news: "SimpleQueue[float | None] | None" = None  # of a worker process: shares of models that are done


def run_fleet(tasks: Sequence[Task], what: str, workers: int = 1, progress: bool = True) -> None:
    """Do all tasks, as far as they are not done; what they leave lies in the run directory.

    Every task is done by the same code with the same number of threads, wherever it runs: on the same kind of device
    the models are equal to the bit, however many workers there are.

    Args:
        tasks: one a model.
        what: what is done, in words.
        workers: processes; 1 stays in this one.
        progress: show a progress bar.

    Raises:
        InputError: what a task raises first, or a worker process was killed.
    """
    with FleetBar(what, len(tasks), progress) as bar:
        if workers == 1 or len(tasks) < 2:
            for task in tasks:
                task.quiet().run(bar.advance)
        else:
            _run_in_processes(tasks, min(workers, len(tasks)), bar)


def _run_in_processes(tasks: Sequence[Task], workers: int, bar: FleetBar) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would copy threads and CUDA in the middle of something
    news: SimpleQueue[float | None] = context.SimpleQueue()
    reader = threading.Thread(target=_read_news, args=(news, bar), daemon=True)
    reader.start()
    pool = ProcessPoolExecutor(workers, context, initializer=_begin_worker, initargs=(news, torch.get_num_threads()))
    try:
        done = [pool.submit(_run_in_worker, _placed(task, place).quiet()) for place, task in enumerate(tasks)]
        for one in as_completed(done):
            one.result()
    except BrokenProcessPool as error:
        raise InputError(
            "A worker process of the fleet was killed, perhaps for want of memory; start the same command again to go "
            "on, or give fewer fleet.workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        news.put(WITHOUT_NEWS)
        reader.join()


def _placed(task: Task, place: int) -> Task:
    """The task on one of the GPUs, in turns, where there are any to be used."""
    n_gpus = torch.cuda.device_count() if task.training.trainers.device() == "cuda" else 0
    return task.on_device(place % n_gpus) if n_gpus else task


def _begin_worker(news: "SimpleQueue[float | None]", threads: int) -> None:
    global _news
    _news = news
    quieten()
    torch.set_num_threads(threads)


def _run_in_worker(task: Task) -> None:
    assert _news is not None
    task.run(_news.put)


def _read_news(news: "SimpleQueue[float | None]", bar: FleetBar) -> None:
    while (share := news.get()) is not WITHOUT_NEWS:
        bar.advance(share)
