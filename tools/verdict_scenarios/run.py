"""Run a scenario's command, and extract the printed verdict."""

import io
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from lightning_mia.audit.cli import main as command
from tools.verdict_scenarios.scenarios import Scenario
from tools.verdict_scenarios.workshop import RUN_DIR, Workshop

VERDICT = re.compile(r"^verdict: .*?(?=^$)", re.MULTILINE | re.DOTALL)


def run(scenario: Scenario, shop: Workshop) -> tuple[list[str], str]:
    """Prepare a scenario and run its command in its folder.

    Returns:
        The words of the command, and the verdict as printed.

    Raises:
        RuntimeError: the command failed, or printed no verdict.
    """
    folder = shop.folder(scenario.name)
    arguments = scenario.prepare(shop, folder)
    shutil.rmtree(folder / RUN_DIR, ignore_errors=True)
    return ["lightning-mia", *arguments], printed_verdict(arguments, folder)


def printed_verdict(arguments: list[str], folder: Path) -> str:
    """Run a command in a folder, and return the verdict that it prints."""
    output = io.StringIO()
    with _working_directory(folder), redirect_stdout(output):
        status = command(arguments)
    verdict = VERDICT.search(output.getvalue())
    if status != 0 or verdict is None:
        raise RuntimeError(f"exit status {status} in {folder}:\n{output.getvalue()}")
    return verdict[0].rstrip()


@contextmanager
def _working_directory(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
