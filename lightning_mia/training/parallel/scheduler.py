"""Run jobs in parallel, retry lost ones, collect failures."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from lightning_mia.utilities.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """Event: a job is finished."""


@dataclass(frozen=True)
class Failed:
    """Event: a job raised an exception.

    Attributes:
        message: one line for the user, or the traceback of an internal error.
        user_error: whether the user can fix it.
    """

    message: str
    user_error: bool

    def exception(self) -> Exception:
        """Return an exception to raise in another process."""
        return InputError(self.message) if self.user_error else RuntimeError(f"in a worker process:\n{self.message}")


@dataclass(frozen=True)
class Lost:
    """Event: the worker of a job is gone.

    A retry continues from what the job saved.

    Attributes:
        reason: such as "its worker process was killed (SIGKILL)".
        permanent: whether a retry cannot help, because nothing is left that could run the job.
    """

    reason: str
    permanent: bool = False


Event = float | logging.LogRecord | Done | Failed | Lost
"""Progress since the last event (share of a job), a log record, or the end of a job."""

ReportProgress = Callable[[float], None]
"""Takes the share of a job (0 to 1) done since the last call."""


class Job(Protocol):
    """Picklable unit of work, such as a shadow model."""

    @property
    def name(self) -> str:
        """Unique name."""

    def run(self, report: ReportProgress) -> object:
        """Run the job and report progress."""


class Executor(Protocol):
    """Runs jobs outside this process.

    Leaving its context ends running jobs.
    """

    def __enter__(self) -> "Executor":
        """Start the executor."""

    def __exit__(self, *error: object) -> None:
        """End all running jobs."""

    def has_capacity(self) -> bool:
        """Whether one more job can be submitted."""

    def submit(self, job: Job) -> None:
        """Start a job and return immediately.

        Raises:
            InputError: the job cannot be pickled.
        """

    def events(self) -> Sequence[tuple[Job, Event]]:
        """Wait for events of submitted jobs; may be empty."""


@dataclass(frozen=True)
class Failure:
    """Unfinished job.

    Attributes:
        job: the job.
        reason: one line.
        end: final event.
    """

    job: Job
    reason: str
    end: Failed | Lost


def run_all(
    jobs: Sequence[Job],
    executor: Executor,
    retries: int,
    advance: ReportProgress,
    on_end: Callable[[Failure | None], None],
    after: Mapping[str, str] = MappingProxyType({}),
) -> list[Failure]:
    """Run all jobs, and resubmit lost ones.

    A resubmitted job continues from what it saved.

    Args:
        jobs: jobs of unique names, in the order of submission.
        executor: runs them.
        retries: number of times a job is resubmitted after its worker was killed or its node was lost.
        advance: takes the progress of all jobs, in jobs; negative if a worker is lost.
        on_end: called when a job ends, with its failure, if any; an exception from it ends all other jobs.
        after: name of a job → name of the job that has to end first, successfully or not; without cycles.

    Returns:
        Unfinished jobs.

    Raises:
        InputError: a job cannot be pickled.
    """
    waiting, failures = deque(jobs), list[Failure]()
    progress, n_lost = Counter[str](), Counter[str]()  # by name; progress counts shares
    unfinished = {job.name for job in jobs}
    while unfinished:
        while executor.has_capacity() and (ready := _first_ready(waiting, after, unfinished)):
            waiting.remove(ready)
            executor.submit(ready)
        for job, event in executor.events():
            if isinstance(event, float):
                advance(event)
                progress[job.name] += event  # type: ignore[assignment]
            elif isinstance(event, logging.LogRecord):
                _show(event)
            elif isinstance(event, Lost) and not event.permanent and n_lost[job.name] < retries:
                n_lost[job.name] += 1
                log.warning("%s: %s; retry %d of %d", job.name, event.reason, n_lost[job.name], retries)
                advance(-progress.pop(job.name, 0.0))
                waiting.appendleft(job)
            else:
                unfinished.remove(job.name)
                advance(1.0 - progress.pop(job.name, 0.0))
                failure = None if isinstance(event, Done) else Failure(job, _reason(event, n_lost[job.name]), event)
                failures += [failure] if failure else []
                on_end(failure)
    return failures


def _first_ready(waiting: Iterable[Job], after: Mapping[str, str], unfinished: Container[str]) -> Job | None:
    return next((job for job in waiting if after.get(job.name) not in unfinished), None)


def _show(record: logging.LogRecord) -> None:
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _reason(end: Failed | Lost, n_retries: int) -> str:
    if isinstance(end, Failed):
        return end.message.strip().splitlines()[-1]
    return f"{end.reason}, after {n_retries} {'retry' if n_retries == 1 else 'retries'}" if n_retries else end.reason
