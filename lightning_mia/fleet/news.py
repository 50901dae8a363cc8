"""What is told of a piece of work while it is done elsewhere, and how it ended."""

import logging
from dataclasses import dataclass

from lightning_mia.errors import InputError


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


News = float | logging.LogRecord | Done | Failed | Lost
"""The share of a task that was done since the last one, a line of the log, or how the task ended."""
