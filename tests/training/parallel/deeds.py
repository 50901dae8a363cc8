"""What worker processes can be given to do; imported in other processes."""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class Deed:
    """Stands for a task: writes down where it was done."""

    name: str
    folder: Path

    def run(self, tell: Callable[[float], None]) -> None:
        for _ in range(4):
            tell(0.25)
            time.sleep(0.05)
        ignored = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        facts = [os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.get_num_threads(), ignored]
        (self.folder / self.name).write_text(" ".join(map(str, facts)))


class Telling(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        logging.getLogger("lightning_mia.of_a_worker").warning("%s speaks", self.name)
        logging.getLogger("lightning_mia.of_a_worker").debug("of no interest")
        for _ in tqdm(range(3), desc="a bar of no interest"):
            pass
        super().run(tell)


class Refused(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        raise InputError(f"{self.name} cannot be done")


class Broken(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        raise ZeroDivisionError("a bug of ours")


class Killed(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledOnce(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        begun = self.folder / f"{self.name}.begun"
        if not begun.exists():
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().run(tell)


class Endless(Deed):
    def run(self, tell: Callable[[float], None]) -> None:
        (self.folder / self.name).write_text(str(os.getpid()))
        time.sleep(600)


class NotSendable(Deed):
    def __getstate__(self) -> None:
        raise TypeError("cannot pickle a lock")
