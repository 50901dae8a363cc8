"""Interruptions of an audit; `python -m tools.kills` makes more, also of a grid."""

from collections.abc import Iterator, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from tests.command_process import start_command
from tools import kills


@pytest.fixture
def start(forkserver: ForkServerContext) -> Iterator[kills.Start]:
    running: list[ForkServerProcess] = []

    def start(command: Sequence[str], log: Path) -> int:
        log.parent.mkdir(parents=True, exist_ok=True)
        running.append(start_command(forkserver, list(command), log))
        assert running[-1].pid is not None
        return running[-1].pid

    yield start
    for process in running:
        process.kill()


@pytest.mark.slow
def test_a_killed_audit_resumes_to_the_same_numbers(start: kills.Start, tmp_path: Path) -> None:
    command = kills.commands(*kills.write_inputs(tmp_path))["audit"]
    kills.check(start, command, 4, tmp_path / "audit")
