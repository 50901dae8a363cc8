"""Run the command line in a forked, preloaded process.

Importing takes longer than most commands. The forked process imports this module, too. Tests of how a command starts
use a fresh Python.
"""

import os
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path


def start_command(context: ForkServerContext, arguments: list[str], log: Path) -> ForkServerProcess:
    """Start a command in a new session, stderr to `log`."""
    process = context.Process(target=_run_in_new_session, args=(arguments, log))
    process.start()
    return process


def _run_in_new_session(arguments: list[str], log: Path) -> None:
    os.setsid()
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from lightning_mia.audit.cli import main

    os._exit(main(arguments))
