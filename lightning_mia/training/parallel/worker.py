"""Main loop of a worker process."""

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
from lightning_mia.utilities.errors import InputError, explain_lack
from lightning_mia.utilities.lightning import quieten

REPORT_SECONDS = 0.2  # minimum time between two progress events


def run_worker(pipe: "Connection[Any, Any]", lifeline: "Connection[Any, Any]", threads: int) -> None:
    """Run the jobs that arrive through a pipe.

    Args:
        pipe: delivers pickled jobs, takes `Event`.
        lifeline: closed when this process is to end, or when its parent has ended in any way.
        threads: number of PyTorch threads, as in the parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGTERM, _end)  # Lightning would only take note of it
    threading.Thread(target=_exit_with_parent, args=(lifeline,), daemon=True).start()
    sender = EventSender(pipe.send)
    configure_worker(sender, threads)
    while True:
        try:
            pickled = pipe.recv_bytes()
        except (EOFError, OSError):
            return
        sender.send(run_job(pickled, sender))


class EventSender:
    """Sends events to the parent, and accumulates progress between them.

    Args:
        deliver: transports an event to the parent.
    """

    def __init__(self, deliver: Callable[[Event], object]) -> None:
        self.deliver, self.lock = deliver, threading.Lock()
        self.pending, self.last_report = 0.0, time.monotonic()

    def send(self, event: Event) -> None:
        """Send an event immediately."""
        with self.lock:
            self.deliver(event)

    def __call__(self, share: float) -> None:
        """Add progress; send it at most every `REPORT_SECONDS`."""
        self.pending += share
        if time.monotonic() - self.last_report > REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send accumulated progress."""
        self.send(self.pending)
        self.pending, self.last_report = 0.0, time.monotonic()


def configure_worker(sender: EventSender, threads: int) -> None:
    """Configure threads and logging of a worker process.

    The parent shows the log, because it has the progress bar.

    Args:
        sender: takes log records.
        threads: number of PyTorch threads.
    """
    torch.set_num_threads(threads)
    log = logging.getLogger("lightning_mia")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = [_SenderHandler(sender.send)]


def run_job(pickled: bytes, sender: EventSender) -> Done | Failed:
    """Run a pickled job and return how it ended."""
    try:
        job: Job = pickle.loads(pickled)
        quieten()  # after unpickling, which imports Lightning, which resets warnings
        job.run(sender)
    except InputError as error:
        return Failed(str(error), user_error=True)
    except Exception as error:
        if lack := explain_lack(error):
            return Failed(lack, user_error=True)
        return Failed(traceback.format_exc(), user_error=False)
    sender.flush()
    return Done()


def _end(*_: object) -> None:
    """End this process by SIGTERM, as without a handler."""
    for child in active_children():
        child.kill()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def _exit_with_parent(lifeline: "Connection[Any, Any]") -> None:
    """Kill this process and its children when orphaned.

    Files are written atomically, and the next start continues from them.
    """
    wait([lifeline])
    for child in active_children():
        child.kill()
    os._exit(1)


class _SenderHandler(QueueHandler):
    """Log handler that sends records, made picklable by `QueueHandler.prepare`."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        logging.Handler.__init__(self)
        self.enqueue = send  # type: ignore[method-assign, assignment]
