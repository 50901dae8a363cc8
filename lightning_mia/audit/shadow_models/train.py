"""Go through the tasks of a fleet, one after the other or several at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lightning_mia.audit.shadow_models.job import Task
from lightning_mia.training.parallel.devices import worker_gpus
from lightning_mia.training.parallel.local import LocalExecutor
from lightning_mia.training.parallel.progress import JobsBar
from lightning_mia.training.parallel.scheduler import Executor, Failed, Failure, run_all
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.errors import InputError, list_first


def run_fleet(
    tasks: Sequence[Task],
    what: str,
    settings: ExecutorSettings,
    run_dir: Path,
    progress: bool = True,
    ended: Callable[[], None] = lambda: None,
) -> None:
    """Do all tasks, as far as they are not done; what they leave lies in the run directory.

    Every task is done by the same code with the same number of threads, wherever it runs: on the same kind of device
    the models are equal to the bit, however many workers there are, and whatever the engine. At the first task that
    fails all others are ended; one whose worker was killed again and again is listed, and the others go on.

    Args:
        tasks: one a model.
        what: what is done, in words.
        settings: where they are done; one local worker is this process itself.
        run_dir: folder of the run.
        progress: show a progress bar.
        ended: is called whenever a task has ended.

    Raises:
        InputError: what a task raises first, or workers of some tasks were killed too often.
    """
    tasks = [task.quiet() for task in tasks]
    here = settings.engine == "local" and settings.workers == 1
    with JobsBar(what, len(tasks), progress) as bar:
        left = tasks if here else [task for task in tasks if not task.done]
        bar.advance(len(tasks) - len(left))
        if here or (settings.engine == "local" and len(left) < 2):
            for task in left:
                task.run(bar.advance)
                ended()
            return
        if not left:
            return
        gpus = worker_gpus(left[0].training.trainers) if settings.engine == "local" else []
        placed = [task.on_one_device() for task in left] if gpus or settings.engine == "ray" else left

        def heed(failure: Failure | None) -> None:
            if failure and isinstance(failure.end, Failed):
                raise failure.end.exception()
            ended()

        with create_executor(settings, min(settings.workers, len(left)), gpus, run_dir) as executor:
            failures = run_all(placed, executor, settings.retries, bar.advance, heed)
    if failures:
        named = list_first([f"{failure.job.name}: {failure.reason}" for failure in failures])
        raise InputError(
            f"{len(failures)} of {len(tasks)} models are not done ({named}); start the same command again to go on, or "
            "give fewer workers"
        )


def check_executor(settings: ExecutorSettings) -> None:
    """See to it that the engine can be had, before any work is done for it.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    if settings.engine == "ray":
        from lightning_mia.training.parallel.ray_cluster import connect

        connect(settings)


def create_executor(settings: ExecutorSettings, n_workers: int, gpus: Sequence[str], run_dir: Path) -> Executor:
    """The engine that the settings ask for.

    Args:
        settings: which one.
        n_workers: processes of a local one.
        gpus: names of the GPUs over which they are spread.
        run_dir: folder of the run, for one on several machines.
    """
    if settings.engine == "local":
        return LocalExecutor(n_workers, gpus)
    from lightning_mia.training.parallel.ray import RayExecutor

    return RayExecutor(settings, run_dir)
