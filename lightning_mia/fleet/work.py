"""What worker processes can be given to do; without Lightning, which takes seconds to import and comes with a task."""

from collections.abc import Callable
from typing import Protocol

Tell = Callable[[float], None]


class Work(Protocol):
    """What a worker process can do: one shadow model, or a cell of a grid."""

    @property
    def name(self) -> str:
        """How it is called."""

    def run(self, tell: Tell) -> object:
        """Do it, and tell the share (0 to 1) that was done since the last call."""
