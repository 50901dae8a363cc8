"""Sample jobs for worker processes, which import this module."""

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
class SampleJob:
    """Records where it ran."""

    name: str
    folder: Path

    def run(self, report: Callable[[float], None]) -> None:
        for _ in range(4):
            report(0.25)
            time.sleep(0.05)
        ignored = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        facts = [os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", ""), torch.get_num_threads(), ignored]
        (self.folder / self.name).write_text(" ".join(map(str, facts)))


class Logging(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        logging.getLogger("lightning_mia.in_a_worker").warning("%s speaks", self.name)
        logging.getLogger("lightning_mia.in_a_worker").debug("of no interest")
        for _ in tqdm(range(3), desc="a bar of no interest"):
            pass
        super().run(report)


class Refused(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        raise InputError(f"{self.name} cannot be done")


class Broken(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        raise ZeroDivisionError("a bug of ours")


class Killed(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledOnce(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        started = self.folder / f"{self.name}.started"
        if not started.exists():
            started.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().run(report)


class Endless(SampleJob):
    def run(self, report: Callable[[float], None]) -> None:
        (self.folder / self.name).write_text(str(os.getpid()))
        time.sleep(600)


class NotPicklable(SampleJob):
    def __getstate__(self) -> None:
        raise TypeError("cannot pickle a lock")
