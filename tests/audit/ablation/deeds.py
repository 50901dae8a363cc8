"""Cells that do something of a test's own; imported by the processes that do it, and therefore by itself."""

import os
import signal
from collections.abc import Callable
from pathlib import Path


class Deed:
    """A cell that does something of the test's own; can be sent to another process."""

    longer = None

    def __init__(self, name: str, folder: Path, deed: Callable[[], None]) -> None:
        self.name, self.folder, self.deed = name, folder, deed
        self.log = folder / "log.txt"

    def run(self, tell: Callable[[float], None]) -> None:
        self.deed()
        (self.folder / f"{self.name}.done").touch()
        tell(1.0)


def well() -> None:
    pass


def badly() -> None:
    raise ValueError("what a bug says")


def to_death() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
