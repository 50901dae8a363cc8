"""What a worker process of a fleet does: one task after the other, as they come through its pipe."""

import logging
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing import active_children
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from lightning_mia.errors import InputError
from lightning_mia.fleet.task import Work
from lightning_mia.quiet import quieten

SECONDS = 0.2  # between two tellings of how far a task is


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


News = float | logging.LogRecord | Done | Failed
"""What a worker sends: the share of a model that was done since the last one, a line of the log, how a task ended."""


def work(pipe: "Connection[Any, Any]", life: "Connection[Any, Any]", threads: int) -> None:
    """Do the tasks that come through the pipe, and tell of them.

    Args:
        pipe: gives tasks, takes `News`.
        life: is closed when this process is to end, or when the one that started it has ended, in whatever way.
        threads: that PyTorch computes with, as many as in the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    quieten()
    torch.set_num_threads(threads)
    tell = _Teller(pipe)
    _hand_over_log(tell.send)
    while True:
        try:
            task = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        tell.send(_outcome(task, tell))


def _end_with(life: "Connection[Any, Any]") -> None:
    """End this process in the middle of whatever it does, and the processes that read audio for it.

    What it has saved is whole, and the next start goes on from there.
    """
    wait([life])
    for reader in active_children():
        reader.kill()
    os._exit(1)


class _Teller:
    """Tells shares of a task, not too often, through a pipe that the log goes through too."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self.pipe, self.lock = pipe, threading.Lock()
        self.untold, self.last = 0.0, time.monotonic()

    def send(self, news: News) -> None:
        """Send at once."""
        with self.lock:
            self.pipe.send(news)

    def __call__(self, share: float) -> None:
        """Add to what is told next."""
        self.untold += share
        if time.monotonic() - self.last > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Tell what was not told yet."""
        self.send(self.untold)
        self.untold, self.last = 0.0, time.monotonic()


def _hand_over_log(send: Callable[[News], None]) -> None:
    """Let the process that started this one show the log: it knows how, and where its progress bar is."""
    log = logging.getLogger("lightning_mia")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(_Sender(send))


class _Sender(QueueHandler):
    def __init__(self, send: Callable[[News], None]) -> None:
        logging.Handler.__init__(self)
        self.enqueue = send  # type: ignore[method-assign, assignment]


def _outcome(pickled: bytes, tell: _Teller) -> Done | Failed:
    try:
        task: Work = pickle.loads(pickled)
        task.run(tell)
    except InputError as error:
        return Failed(str(error), mendable=True)
    except Exception:
        return Failed(traceback.format_exc(), mendable=False)
    tell.flush()
    return Done()
