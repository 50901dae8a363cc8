"""Ten interruptions of audits and of a grid; `python -m tools.kills` makes more."""

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


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_kills"), [("audit", 2), ("audit_in_one_process", 7), ("grid_in_one_process", 1)])
def test_killed_commands_resume_to_the_same_numbers(
    name: str, n_kills: int, start: kills.Start, tmp_path: Path
) -> None:
    command = kills.commands(*kills.write_inputs(tmp_path))[name]
    kills.check(start, command, n_kills, tmp_path / name)
