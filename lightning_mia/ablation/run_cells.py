"""Go through the cells of a grid in worker processes; one that fails is listed, and the others go on.

A worker does one cell after the other, so that PyTorch is imported once a worker and not once a cell. A cell that
brings its worker down takes no other cell with it: the next ones get a new worker.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from tqdm import tqdm

from lightning_mia.ablation.cell_task import CellTask
from lightning_mia.errors import InputError
from lightning_mia.fleet.progress import FleetBar
from lightning_mia.fleet.worker_process import Done, Failed
from lightning_mia.fleet.workers import Worker, ctrl_c_put_off


@dataclass(frozen=True)
class Failure:
    """A cell that could not be finished.

    Attributes:
        task: the cell.
        reason: one line.
    """

    task: CellTask
    reason: str


def run_cells(
    tasks: Sequence[CellTask],
    n_workers: int,
    gpus: Sequence[str],
    n_done: int,
    ended: Callable[[], None],
) -> list[Failure]:
    """Run the cells, each in one of several processes.

    Args:
        tasks: in the order in which they are begun.
        n_workers: cells at a time.
        gpus: names of the GPUs over which the workers are spread; empty: they compute elsewhere.
        n_done: cells that were done by earlier starts, for the progress bar.
        ended: is called whenever a cell has ended.
    """
    failures: list[Failure] = []
    waiting = list(reversed(tasks))
    with FleetBar("Cells", n_done + len(tasks), True, "cells") as bar, _workers() as start:
        bar.advance(n_done)
        busy: dict[Any, Worker] = {}
        for place in range(min(n_workers, len(tasks))):
            worker = start(gpus[place % len(gpus)] if gpus else None)
            busy[worker.pipe] = worker
            worker.give(waiting.pop())
        while busy:
            for pipe in cast("list[Connection[Any, Any]]", wait(list(busy))):
                worker = busy[pipe]
                end = _end_of(worker)
                if end is None:
                    continue
                del busy[pipe]
                if isinstance(end, Failure):
                    failures.append(end)
                    tqdm.write(f"{end.task.name} failed: {end.reason}", file=sys.stderr)
                bar.advance(1.0)
                ended()
                if waiting:
                    worker = worker if worker.process.is_alive() else start(worker.gpu)
                    busy[worker.pipe] = worker
                    worker.give(waiting.pop())
    return failures


def _end_of(worker: Worker) -> Failure | Done | None:
    """How the cell of a worker ended; None while it is still going on."""
    task = cast(CellTask, worker.task)
    try:
        news = worker.news()
    except InputError:
        return Failure(task, f"its process {worker.how_it_ended()}, perhaps for want of memory; see {task.log}")
    if isinstance(news, Failed):
        lines = news.message.strip().splitlines()
        return Failure(task, lines[-1] if news.mendable else f"{lines[-1]}; see {task.log}")
    return news if isinstance(news, Done) else None


@contextmanager
def _workers() -> Iterator[Callable[[str | None], Worker]]:
    """Start workers, on a GPU of that name, and see to it that all of them end."""
    started: list[Worker] = []

    def start(gpu: str | None) -> Worker:
        with ctrl_c_put_off():  # until it is in the list, to be ended
            started.append(Worker(gpu))
        return started[-1]

    try:
        yield start
    finally:
        for worker in started:
            worker.life.close()
        for worker in started:
            worker.end()
