"""Lock of a run directory, against a second command in it."""

import json
import logging
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lightning_mia.utilities.credentials import without_credentials
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import LOCK, check_folder, sweep

log = logging.getLogger(__name__)

OWNER = ".lock.json"
"""Description of the process that holds the lock."""

RANK_VARIABLES = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""As in Lightning: the first one that is set numbers the processes of one command."""

LAUNCH_SECONDS = 600
"""Processes of one command start within this time; the first one must not sweep what the others already write."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run directory, and sweep it first.

    The operating system releases the lock when the process ends in any way. Of a distributed command, the first process
    holds it for all; worker processes do not take it.

    Raises:
        InputError: another command holds the lock, or the folder cannot be written to.

    >>> import tempfile
    >>> with locked(Path(tempfile.mkdtemp())):
    ...     pass
    """
    rank = next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), None)
    if rank not in (None, "0"):
        yield
        return
    check_folder(folder)
    is_new, lock = not folder.exists(), FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{folder} is in use by {_owner(folder / OWNER)}; wait until it has ended, or give another --run_dir"
        ) from error
    except NotImplementedError:
        log.warning("%s is on a file system without locks: do not run two commands in it at a time", folder)
    except OSError as error:
        raise InputError(
            f"Cannot write to {folder}: {error.strerror or error}; choose another folder or free space"
        ) from error
    try:
        with suppress(OSError):
            (folder / OWNER).write_text(json.dumps(_this_process()), encoding="utf-8")
        sweep(folder, min_age=0 if rank is None else LAUNCH_SECONDS)
        yield
    finally:
        with suppress(OSError):
            (folder / OWNER).unlink()
        lock.release()
        if is_new and os.listdir(folder) in ([], [LOCK]):  # the command was refused before it wrote anything
            shutil.rmtree(folder, ignore_errors=True)


def _this_process() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": without_credentials(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _owner(path: Path) -> str:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has just started, or just ended
        return "another process"
