"""Run the jobs of shadow models, serially or in parallel."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from lightning_mia.audit.shadow_models.shadow_model_job import ShadowModelJob
from lightning_mia.training.job import TrainingJob
from lightning_mia.training.parallel.devices import settle_workers, worker_gpus
from lightning_mia.training.parallel.local import LocalExecutor
from lightning_mia.training.parallel.scheduler import Executor, Failed, Failure, run_all
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.errors import InputError, list_first
from lightning_mia.utilities.progress_bar import Progress


def run_jobs(
    jobs: Sequence[ShadowModelJob],
    progress: Progress,
    settings: ExecutorSettings,
    run_dir: Path,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Run all unfinished jobs.

    Results go to the run directory. Every job runs the same code with the same number of threads, so the models are
    identical to the bit on the same kind of device, for any number of workers and either executor. The first job that
    fails ends all others; jobs whose workers are killed repeatedly are listed at the end.

    Args:
        jobs: one per shadow model.
        progress: takes the work done.
        settings: executor; a single local worker is this process itself.
        run_dir: folder of the run.
        on_end: called whenever a job has ended.

    Raises:
        InputError: a job failed, or the workers of some jobs were killed too often.
    """
    jobs = [job.without_progress_bars() for job in jobs]
    settings = _settled(settings, jobs)
    in_process = settings.engine == "local" and settings.n_workers == 1
    remaining = jobs if in_process else [job for job in jobs if not job.done]
    if in_process or (settings.engine == "local" and len(remaining) < 2):
        for job in remaining:
            job.run_here(progress)
            on_end()
        return
    if not remaining:
        return
    gpus = worker_gpus(remaining[0].training.trainers) if settings.engine == "local" else []
    placed = [job.on_one_device() for job in remaining] if gpus or settings.engine == "ray" else remaining
    work = expected_work(remaining, settings)

    def advance(share: float) -> None:
        progress.advance(share * work / len(remaining))

    def handle_end(failure: Failure | None) -> None:
        if failure and isinstance(failure.end, Failed):
            raise failure.end.exception()
        on_end()

    with (
        create_executor(settings, min(settings.n_workers, len(remaining)), gpus, run_dir) as executor,
        progress.task(f"{len(remaining)} shadow models", work),
    ):
        failures = run_all(placed, executor, settings.retries, advance, handle_end)
    if failures:
        named = list_first([f"{failure.job.name}: {failure.reason}" for failure in failures])
        raise InputError(
            f"{len(failures)} of {len(jobs)} models are not finished ({named}); run the same command again to "
            "continue, or use fewer workers"
        )


def expected_work(jobs: Sequence[ShadowModelJob], settings: ExecutorSettings) -> float:
    """Return the work that is left, as long as workers share it.

    In rounds: with two workers, three jobs take as long as two.

    Args:
        jobs: one per shadow model.
        settings: executor.
    """
    works = [work for job in jobs if (work := job.work)]
    if not works:
        return 0.0
    n_workers = min(_settled(settings, jobs).n_workers, len(works))
    return sum(works) / len(works) * math.ceil(len(works) / n_workers)


def _settled(settings: ExecutorSettings, jobs: Sequence[ShadowModelJob]) -> ExecutorSettings:
    """Replace `workers: auto` by a number; models that are only probed take one worker."""
    for job in jobs:
        if isinstance(job.training, TrainingJob):
            n_parameters = sum(parameter.numel() for parameter in job.training.model.parameters())
            return settle_workers(settings, job.training.trainers, n_parameters)
    return settings


def check_executor(settings: ExecutorSettings) -> None:
    """Check that the executor is available, before any training.

    Raises:
        InputError: Ray is not installed, or no cluster answers at the address.
    """
    if settings.engine == "ray":
        from lightning_mia.training.parallel.ray_cluster import connect

        connect(settings)


def create_executor(settings: ExecutorSettings, n_workers: int, gpus: Sequence[str], run_dir: Path) -> Executor:
    """Create the executor chosen in the settings.

    Args:
        settings: `local` or `ray`.
        n_workers: number of local processes.
        gpus: names of the GPUs for local processes.
        run_dir: folder of the run, for Ray.
    """
    if settings.engine == "local":
        return LocalExecutor(n_workers, gpus)
    from lightning_mia.training.parallel.ray import RayExecutor

    return RayExecutor(settings, run_dir)
