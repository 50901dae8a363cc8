"""Give every option of a command wrong values, and look for tracebacks.

OMP_NUM_THREADS=1 python tools/fuzz_options.py CONFIG [--command fit] [--only trainer.] [--sample 50]

The options are the leaves of what the parser prints for the config (`--print_config`), so that new ones are included.
Each gets values that are negative, zero, huge, not a number, text, a list, or empty. A run may succeed (status 0) or
refuse the value in one line (status 2). Exit status 1 if any run ends in a traceback, in another status or in several
lines, or takes longer than 60 s. Every run is a fork of this process, with 8 GB of memory.
"""

import argparse
import io
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from lightning_mia.audit.cli import main as run_command

VALUES = ("-1", "0", "1000000000000", "1e38", ".nan", "text", "[1, 2]", "")
SECONDS = 60
MEMORY = 8 << 30
OWN_RUN_DIR = ("run_dir", "out", "config", "results_url")
"""Options that every run needs, or that write elsewhere."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="config of a tiny audit")
    parser.add_argument("--command", default="fit", help="command to run")
    parser.add_argument("--only", default="", help="prefix of the options to test")
    parser.add_argument("--sample", type=int, help="number of runs, drawn at random; by default all")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="longest run, more on a busy machine")
    parser.add_argument("--seed", type=int, default=0, help="seed of that draw")
    arguments = parser.parse_args()
    runs = [
        (option, value)
        for option in options_of(arguments.command, arguments.config)
        if option.startswith(arguments.only)
        for value in VALUES
    ]
    if arguments.sample is not None:
        runs = random.Random(arguments.seed).sample(runs, min(arguments.sample, len(runs)))
    faults = 0
    for option, value in tqdm(runs, desc="Wrong values", unit="run"):
        outcome = try_option(arguments.command, arguments.config, option, value, arguments.seconds)
        if fault := outcome.fault:
            faults += 1
            tqdm.write(f"--{option}={value}: {fault}", file=sys.stderr)
    print(f"{faults} faults in {len(runs)} runs")
    return int(faults > 0)


def options_of(command: str, config: Path) -> list[str]:
    """List all options of a command, with those of the config's classes."""
    output = io.StringIO()
    with redirect_stdout(output), suppress(SystemExit):
        run_command([command, "-c", str(config), "--print_config"])
    return [name for name in leaves(yaml.safe_load(output.getvalue())) if name not in OWN_RUN_DIR]


def leaves(settings: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all values.

    >>> list(leaves({"model": {"class_path": "TERA", "init_args": {"dim": 64}}, "attacks": None}))
    ['model.init_args.dim', 'attacks']
    """
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        elif name != "class_path":
            yield f"{prefix}{name}"


@dataclass(frozen=True)
class Outcome:
    """End of a run.

    Attributes:
        status: exit status; None: it took too long and was killed.
        errors: what it wrote to stderr.
    """

    status: int | None
    errors: str

    @property
    def fault(self) -> str:
        """What is wrong with it; empty: nothing."""
        messages = [line for line in self.errors.splitlines() if "lightning-mia: error: " in line]
        last = (self.errors.strip().splitlines() or [""])[-1]
        if self.status is None:
            return "not finished in time"
        if "Traceback (most recent call last)" in self.errors:
            return f"a traceback, {last}"
        if self.status not in (0, 2):
            return f"status {self.status}, {last}"
        if self.status == 2 and len(messages) != 1:
            return f"no error in one line, {last}"
        return ""


def try_option(command: str, config: Path, option: str, value: str, seconds: int = SECONDS) -> Outcome:
    """Run a command with one option in a fork of this process."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz_options_"))
    process = os.fork()
    if not process:
        _run_and_exit([command, "-c", str(config), "--run_dir", str(folder / "run"), f"--{option}={value}"], folder)
    status = _wait(process, seconds)
    errors = (folder / "errors").read_text(errors="replace")
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(status, errors)


def _run_and_exit(arguments: list[str], folder: Path) -> None:
    os.setsid()
    os.chdir(folder)
    log = os.open(folder / "errors", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr = os.fdopen(2, "w")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    status = 1
    try:
        status = run_command(arguments)
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _wait(process: int, seconds: int) -> int | None:
    """Wait for the exit status; kill the process group when the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


if __name__ == "__main__":
    sys.exit(main())
