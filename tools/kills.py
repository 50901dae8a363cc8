"""Interrupt audits and grids at random moments, and compare what they resume to with an undisturbed run.

python -m tools.kills --n_kills 100 --folder /tmp/kills
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import yaml

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KILLS_PER_RUN = 5  # then the run may finish, and is compared
SECONDS_OF_RUN = 1800.0  # of an undisturbed or resumed run
SECONDS_TO_END = 120.0  # of a command after SIGTERM or SIGINT, and of the workers of a killed one
TEMPORARY = (".tmp-", ".part", ".seen-by-all-")


Start = Callable[[Sequence[str], Path], int]
"""Starts a command with its output in a file; returns its process id."""


@dataclass(frozen=True)
class Kill:
    """One interruption.

    Attributes:
        of: "command" or "worker".
        number: signal.
        seconds: time after the start.
    """

    of: str
    number: int
    seconds: float

    def __str__(self) -> str:
        return f"{signal.Signals(self.number).name} of the {self.of} after {self.seconds:.1f} s"


def write_inputs(folder: Path) -> tuple[Path, Path]:
    """Write a corpus of 6 speakers, the config of an audit, and a grid of two audits."""
    rng, rows = np.random.default_rng(0), ["id,path,speaker"]
    for number in range(72):
        path = folder / "corpus" / f"{number:02d}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = np.sin(2 * np.pi * (90 + 12 * (number % 6)) * np.arange(int(rng.uniform(0.3, 0.6) * 16_000)) / 16_000)
        soundfile.write(path, 0.1 * tone + 0.01 * rng.standard_normal(len(tone)), 16_000)
        rows.append(f"c{number:02d},{path},s{number % 6}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(rows) + "\n")
    size = {"n_layers": 1, "dim": 16, "n_heads": 2, "feedforward_dim": 32, "n_clusters": 8, "code_dim": 8}
    settings: dict[str, Any] = {
        "seed_everything": 0,
        "data": {
            "corpus": {"class_path": "Manifest", "init_args": {"path": str(manifest)}},
            "design": {"class_path": "UtteranceDesign", "init_args": {"n_units": 48, "n_auxiliary": 24}},
            "batch_seconds": 4,
            "cache_dir": str(folder / "audio"),
        },
        "model": {"class_path": "MelHuBERT", "init_args": {**size, "position_kernel": 8, "position_groups": 4}},
        "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 4, "enable_progress_bar": False},
        "probe": {"n_masks": 2},
        "evaluation": {"n_redraws": 1000, "n_bootstraps": 1000},
        "attacks": [{"class_path": "lightning_mia.attacks.loss.PretextLoss"}],
    }
    audit, grid, base = folder / "audit.yaml", folder / "grid.yaml", folder / "base.yaml"
    base.write_text(yaml.safe_dump(settings))
    audit.write_text(yaml.safe_dump({**settings, "fleet": {"size": 4, "take_turns": False}}))
    epochs = {"option": "trainer.max_epochs", "values": [1, 2]}
    grid.write_text(yaml.safe_dump({"base": str(base), "factors": {"epochs": epochs}, "seeds": 1}))
    return audit, grid


def commands(audit: Path, grid: Path) -> dict[str, list[str]]:
    """Return the commands to interrupt, without a run directory."""
    return {
        "audit": ["audit", "-c", str(audit), "--fleet.workers", "2"],
        "audit_in_one_process": ["audit", "-c", str(audit)],
        "grid": ["ablate", "-c", str(grid), "--workers", "2"],
        "grid_in_one_process": ["ablate", "-c", str(grid)],
    }


def numbers(folder: Path) -> dict[str, Any]:
    """Collect all numbers of a run or grid that an interruption must not change."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name in ("scores.csv", "units.csv", "split.csv", "trained_utterances.csv"):
            found[name] = path.read_bytes()
        elif path.name == "results.json":
            results = json.loads(path.read_text())
            found[name] = {key: results[key] for key in ("verdict", "attacks", "controls", "split", "target")}
        elif path.name == "stage.json" and (record := json.loads(path.read_text())["record"]):
            found[name] = [record.get(key) for key in ("weights_sha256", "steps", "epochs", "utterances")]
    return found


def leftovers(folder: Path) -> list[str]:
    """List temporary files."""
    return [str(path) for path in folder.rglob("*") if any(part in path.name for part in TEMPORARY)]


def interrupt(pid: int, kill: Kill) -> list[psutil.Process]:
    """Send the signal; return the processes that have to end."""
    try:
        command = psutil.Process(pid)
        children = command.children(recursive=True)
        workers = [child for child in children if child.parent() == command and child.children() == []]
        victim = random.choice(workers) if kill.of == "worker" and workers else command
        victim.send_signal(kill.number)
        return [command, *children] if victim == command else []
    except psutil.NoSuchProcess:  # it was faster
        return []


def wait_for(processes: Sequence[psutil.Process], seconds: float = SECONDS_TO_END) -> None:
    """Wait until all have ended.

    Raises:
        AssertionError: a process goes on.
    """
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    alive = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not alive, f"still running: {alive}"


def random_kills(n_kills: int, duration: float, rng: random.Random) -> Iterator[Kill]:
    """Draw interruptions, one in four of a worker.

    Args:
        n_kills: number of interruptions.
        duration: seconds of an undisturbed run.
        rng: generator.
    """
    for _ in range(n_kills):
        of = "worker" if rng.random() < 0.25 else "command"
        yield Kill(of, rng.choice(SIGNALS), rng.uniform(0.1, 0.9) * duration)


def run_to_end(start: Start, command: Sequence[str], folder: Path) -> float:
    """Run a command to its end; return the seconds.

    Raises:
        AssertionError: it does not write its results.
    """
    before, log = time.monotonic(), folder.with_suffix(".log")
    wait_for([psutil.Process(start([*command, "--run_dir", str(folder)], log))], SECONDS_OF_RUN)
    assert (folder / "report").is_dir() or (folder / "results.csv").exists(), log.read_text()[-3000:]
    return time.monotonic() - before


def check(start: Start, command: Sequence[str], n_kills: int, folder: Path, seed: int = 0) -> None:
    """Interrupt a command, and compare each run that may finish.

    Args:
        start: starts a command.
        command: command without run directory.
        n_kills: number of interruptions.
        folder: folder of the runs.
        seed: seed of the interruptions.

    Raises:
        AssertionError: other numbers, a process that goes on, a lock that is held, or a temporary file.
    """
    rng = random.Random(seed)
    undisturbed = folder / "undisturbed"
    duration = run_to_end(start, command, undisturbed)
    expected = numbers(undisturbed)
    kills = list(random_kills(n_kills, duration, rng))
    for first in range(0, n_kills, KILLS_PER_RUN):
        run = folder / f"run_{first:03d}"
        for kill in kills[first : first + KILLS_PER_RUN]:
            pid = start([*command, "--run_dir", str(run)], run.with_suffix(".log"))
            time.sleep(kill.seconds / (1 + rng.random() * KILLS_PER_RUN))  # later starts have less left to do
            wait_for(interrupt(pid, kill))
            if psutil.pid_exists(pid):  # a worker was killed: the command goes on
                wait_for([psutil.Process(pid)], SECONDS_OF_RUN)
            print(f"{run.name}: {kill}", flush=True)
        run_to_end(start, command, run)
        found = numbers(run)
        assert found.keys() == expected.keys(), f"{run}: other files: {sorted(found.keys() ^ expected.keys())}"
        different = [name for name in expected if found[name] != expected[name]]
        assert not different, f"{run}: other numbers in {different}"
        assert not leftovers(run), f"{run}: temporary files {leftovers(run)}"


def start_process(command: Sequence[str], log: Path) -> int:
    """Start a command in a new Python."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        arguments = [sys.executable, "-m", "lightning_mia", *command]
        return subprocess.Popen(arguments, stdout=file, stderr=file, start_new_session=True).pid


def main() -> None:
    """Interrupt audits and grids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n_kills", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kinds = commands(*write_inputs(options.folder))
    fewer = options.n_kills // 5
    shares = {"audit": options.n_kills - 3 * fewer, **dict.fromkeys(list(kinds)[1:], fewer)}
    for name, command in kinds.items():
        check(start_process, command, shares[name], options.folder / name, options.seed)
    print(f"{options.n_kills} kills: all runs resumed to identical numbers")


if __name__ == "__main__":
    main()
