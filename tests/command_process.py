"""The command line in a process that is forked from one which has imported everything, which takes longer than to run.

Imported in that process, too. How a command starts and what it says then is tested where Python starts anew.
"""

import os
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path


def start_command(context: ForkServerContext, arguments: list[str], log: Path) -> ForkServerProcess:
    """Start a command, in a process group that can be killed as a whole; `log` gets what it says in error."""
    process = context.Process(target=_in_a_session_of_its_own, args=(arguments, log))
    process.start()
    return process


def _in_a_session_of_its_own(arguments: list[str], log: Path) -> None:
    os.setsid()
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from lightning_mia.audit.cli import main

    os._exit(main(arguments))
