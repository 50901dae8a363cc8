"""What a worker process of a fleet does: one task after the other, as they come through its pipe."""

import logging
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from logging.handlers import QueueHandler
from multiprocessing import active_children
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from lightning_mia.training.parallel.scheduler import Done, Event, Failed, Job
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.lightning import quieten

SECONDS = 0.2  # between two tellings of how far a task is


def work(pipe: "Connection[Any, Any]", life: "Connection[Any, Any]", threads: int) -> None:
    """Do the tasks that come through the pipe, and tell of them.

    Args:
        pipe: gives tasks, takes `Event`.
        life: is closed when this process is to end, or when the one that started it has ended, in whatever way.
        threads: that PyTorch computes with, as many as in the process that started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    tell = EventSender(pipe.send)
    prepare(tell, threads)
    while True:
        try:
            task = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        tell.send(outcome(task, tell))


def _end_with(life: "Connection[Any, Any]") -> None:
    """End this process in the middle of whatever it does, and the processes that read audio for it.

    What it has saved is whole, and the next start goes on from there.
    """
    wait([life])
    for reader in active_children():
        reader.kill()
    os._exit(1)


class EventSender:
    """Tells shares of a task, not too often, by the way that the log takes too.

    Args:
        deliver: takes the news to the process that wants to know.
    """

    def __init__(self, deliver: Callable[[Event], object]) -> None:
        self.deliver, self.lock = deliver, threading.Lock()
        self.untold, self.last = 0.0, time.monotonic()

    def send(self, news: Event) -> None:
        """Send at once."""
        with self.lock:
            self.deliver(news)

    def __call__(self, share: float) -> None:
        """Add to what is told next."""
        self.untold += share
        if time.monotonic() - self.last > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Tell what was not told yet."""
        self.send(self.untold)
        self.untold, self.last = 0.0, time.monotonic()


def prepare(tell: EventSender, threads: int) -> None:
    """Make this process compute and speak as a worker does.

    The log is shown by the process that wants to know: it has the progress bar.

    Args:
        tell: takes the log.
        threads: that PyTorch computes with.
    """
    torch.set_num_threads(threads)
    log = logging.getLogger("lightning_mia")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = [_Sender(tell.send)]


class _Sender(QueueHandler):
    def __init__(self, send: Callable[[Event], None]) -> None:
        logging.Handler.__init__(self)
        self.enqueue = send  # type: ignore[method-assign, assignment]


def outcome(pickled: bytes, tell: EventSender) -> Done | Failed:
    """Do a task that was pickled, and say how it ended."""
    try:
        task: Job = pickle.loads(pickled)
        quieten()  # now that the task has brought Lightning along, which would undo it
        task.run(tell)
    except InputError as error:
        return Failed(str(error), mendable=True)
    except Exception:
        return Failed(traceback.format_exc(), mendable=False)
    tell.flush()
    return Done()
