"""Go through the tasks of a fleet, one after the other or several at a time."""

from collections.abc import Sequence

from lightning_mia.fleet.placing import gpus_of
from lightning_mia.fleet.progress import FleetBar
from lightning_mia.fleet.task import Task
from lightning_mia.fleet.workers import run_in_processes


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
    tasks = [task.quiet() for task in tasks]
    with FleetBar(what, len(tasks), progress) as bar:
        left = tasks if workers == 1 else [task for task in tasks if not task.done]
        bar.advance(len(tasks) - len(left))
        if workers == 1 or len(left) < 2:
            for task in left:
                task.run(bar.advance)
        else:
            gpus = gpus_of(left[0].training.trainers)
            placed = [task.on_one_device() for task in left] if gpus else left
            run_in_processes(placed, min(workers, len(left)), bar.advance, gpus)
