"""Run and time `lightning-mia` commands in separate processes."""

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Timing:
    """Seconds taken by one or more commands."""

    wall: float = 0.0
    processor: float = 0.0  # of all processes
    steps: float = 0.0  # in optimizer steps of all models

    def add(self, other: "Timing", weight: float) -> None:
        """Add another timing, weighted."""
        self.wall += weight * other.wall
        self.processor += weight * other.processor
        self.steps += weight * other.steps


def run(command: str, folder: Path, options: list[str]) -> Timing:
    """Run one command in a separate process.

    Raises:
        RuntimeError: the command failed.
    """
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [command, "--run_dir", str(folder), *options, "--trainer.enable_progress_bar", "false"]
    process = subprocess.run(
        [sys.executable, "-m", "lightning_mia", *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    if process.returncode:
        last = process.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"lightning-mia {command} ended with status {process.returncode}: {' '.join(last)}")
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    records = [json.loads(path.read_text())["record"] for path in folder.glob("**/stage.json")]
    return Timing(wall, processor, sum(record["loop_seconds"] for record in records))
