"""Tasks that run a function of a test; in a module of their own, because worker processes import it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path


class PlantedTask:
    """A picklable cell that runs a function."""

    longer = None

    def __init__(self, name: str, folder: Path, action: Callable[[], None]) -> None:
        self.name, self.folder, self.action = name, folder, action
        self.log = folder / "log.txt"

    def run(self, tell: Callable[[float], None]) -> None:
        self.action()
        (self.folder / f"{self.name}.done").touch()
        tell(1.0)


def succeed() -> None:
    pass


def fail() -> None:
    raise ValueError("message of a bug")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
