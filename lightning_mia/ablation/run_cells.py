"""Go through the cells of a grid outside this process; one that fails is listed, and the others go on."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from tqdm import tqdm

from lightning_mia.ablation.cell_task import CellTask
from lightning_mia.fleet.news import Lost
from lightning_mia.fleet.progress import FleetBar
from lightning_mia.fleet.scheduler import Engine, Failure, do_all


def run_cells(
    tasks: Sequence[CellTask], engine: Engine, retries: int, n_done: int, ended: Callable[[], None]
) -> list[Failure]:
    """Run the cells.

    Args:
        tasks: in the order in which they are begun, but for those that wait for a longer run.
        engine: does them.
        retries: how often a cell is begun again whose worker was killed.
        n_done: cells that were done by earlier starts, for the progress bar.
        ended: is called whenever a cell has ended.

    Returns:
        Cells that could not be finished; the reason names the log of one that has something to say in it.
    """
    if not tasks:
        return []

    def tell(failure: Failure | None) -> None:
        if failure:
            tqdm.write(f"{failure.task.name} failed: {_with_log(failure).reason}", file=sys.stderr)
        ended()

    with FleetBar("Cells", n_done + len(tasks), True, "cells") as bar, engine:
        bar.advance(n_done)
        after = {task.name: task.longer.task.name for task in tasks if task.longer}
        return [_with_log(failure) for failure in do_all(tasks, engine, retries, bar.advance, tell, after)]


def _with_log(failure: Failure) -> Failure:
    if not isinstance(failure.end, Lost) and failure.end.mendable:
        return failure
    return replace(failure, reason=f"{failure.reason}; see {cast(CellTask, failure.task).log}")
