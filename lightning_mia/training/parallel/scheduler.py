"""Do many pieces of work, several at a time: start again what was lost, and keep account of what failed."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Done:
    """A task is done."""


@dataclass(frozen=True)
class Failed:
    """A task cannot be done.

    Attributes:
        message: what the user can mend, in one line; or the traceback of a bug of ours.
        mendable: which of the two.
    """

    message: str
    mendable: bool

    def error(self) -> Exception:
        """The same as an exception, to be raised elsewhere."""
        return InputError(self.message) if self.mendable else RuntimeError(f"in a worker process:\n{self.message}")


@dataclass(frozen=True)
class Lost:
    """Whatever did a task is gone; what the task had saved is whole, and another start goes on from there.

    Attributes:
        reason: what became of it, such as "its worker process was killed (SIGKILL)".
        for_good: whether another start cannot help, since nothing is left that could do the task.
    """

    reason: str
    for_good: bool = False


Event = float | logging.LogRecord | Done | Failed | Lost
"""The share of a task that was done since the last one, a line of the log, or how the task ended."""


Tell = Callable[[float], None]


class Job(Protocol):
    """What a worker process can do: one shadow model, or a cell of a grid."""

    @property
    def name(self) -> str:
        """How it is called."""

    def run(self, tell: Tell) -> object:
        """Do it, and tell the share (0 to 1) that was done since the last call."""


log = logging.getLogger(__name__)


class Engine(Protocol):
    """Whatever does pieces of work outside this process; what is still going on when it is left is ended."""

    def __enter__(self) -> "Engine":
        """Make ready."""

    def __exit__(self, *error: object) -> None:
        """End everything that is going on."""

    def has_room(self) -> bool:
        """Whether one more task can be begun."""

    def begin(self, task: Job) -> None:
        """Begin with a task, and return at once.

        Raises:
            InputError: the task holds what cannot be sent to another process.
        """

    def news(self) -> Sequence[tuple[Job, Event]]:
        """Wait until something may have happened to a task that was begun, and tell it."""


@dataclass(frozen=True)
class Failure:
    """A task that could not be finished.

    Attributes:
        task: the task.
        reason: one line.
        end: how it ended.
    """

    task: Job
    reason: str
    end: Failed | Lost


def run_all(
    tasks: Sequence[Job],
    engine: Engine,
    retries: int,
    advance: Callable[[float], None],
    ended: Callable[[Failure | None], None],
    after: Mapping[str, str] = MappingProxyType({}),
) -> list[Failure]:
    """Do all tasks; one that is lost is begun again and goes on from what it had saved.

    Args:
        tasks: of different names, in the order in which they are begun.
        engine: does them.
        retries: how often a task whose worker was killed, or whose node was lost, is begun again.
        advance: is called with the share of one task that was done since the last call; negative for what was lost.
        ended: is called whenever a task has ended, with what went wrong; what it raises ends all others.
        after: name of a task → name of the one that has to end, well or not, before it is begun; no circles.

    Returns:
        Those that could not be finished.

    Raises:
        InputError: a task cannot be sent to another process.
    """
    waiting, failures = deque(tasks), list[Failure]()
    told, lost = Counter[str](), Counter[str]()  # by name; the one counts shares
    left = {task.name for task in tasks}
    while left:
        while engine.has_room() and (ready := _first_ready(waiting, after, left)):
            waiting.remove(ready)
            engine.begin(ready)
        for task, news in engine.news():
            if isinstance(news, float):
                advance(news)
                told[task.name] += news  # type: ignore[assignment]
            elif isinstance(news, logging.LogRecord):
                _show(news)
            elif isinstance(news, Lost) and not news.for_good and lost[task.name] < retries:
                lost[task.name] += 1
                log.warning("%s: %s; retry %d of %d", task.name, news.reason, lost[task.name], retries)
                advance(-told.pop(task.name, 0.0))
                waiting.appendleft(task)
            else:
                left.remove(task.name)
                advance(1.0 - told.pop(task.name, 0.0))
                failure = None if isinstance(news, Done) else Failure(task, _reason(news, lost[task.name]), news)
                failures += [failure] if failure else []
                ended(failure)
    return failures


def _first_ready(waiting: Iterable[Job], after: Mapping[str, str], left: Container[str]) -> Job | None:
    return next((task for task in waiting if after.get(task.name) not in left), None)


def _show(record: logging.LogRecord) -> None:
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


def _reason(end: Failed | Lost, n_retries: int) -> str:
    if isinstance(end, Failed):
        return end.message.strip().splitlines()[-1]
    return f"{end.reason}, after {n_retries} {'retry' if n_retries == 1 else 'retries'}" if n_retries else end.reason
