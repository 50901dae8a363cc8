"""Commands of `lightning-mia` in processes of their own, and what they take."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Timed:
    """What a way of training took, in seconds."""

    wall: float = 0.0
    processor: float = 0.0  # of all processes
    steps: float = 0.0  # in optimizer steps, of all models

    def add(self, other: "Timed", weight: float) -> None:
        """Add what another took, some times over."""
        self.wall += weight * other.wall
        self.processor += weight * other.processor
        self.steps += weight * other.steps


def run(command: str, folder: Path, options: list[str]) -> Timed:
    """Run one command, in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [command, "--run_dir", str(folder), *options, "--trainer.enable_progress_bar", "false"]
    ran = subprocess.run(
        [sys.executable, "-m", "lightning_mia", *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"lightning-mia {command} ended with status {ran.returncode}: {' '.join(last)}")
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    records = [json.loads(path.read_text())["record"] for path in folder.glob("**/stage.json")]
    return Timed(wall, processor, sum(record["loop_seconds"] for record in records))
