"""Run measures in separate processes and store the results."""

import ast
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from lightning_mia.utilities.files import check_folder
from tools.benchmark import results, tables
from tools.benchmark.curves import draw
from tools.benchmark.devices import NO_GPU, gpu_name, machine
from tools.benchmark.processes import REPOSITORY
from tools.benchmark.results import Result
from tools.benchmark.rows import as_lines

MEASURES = Path(__file__).parent / "measures"


def known_measures() -> dict[str, str]:
    """Map the name of every measure to its module."""
    paths = sorted(path for path in MEASURES.glob("*.py") if path.stem != "__init__")
    return {path.stem: f"tools.benchmark.measures.{path.stem}" for path in paths}


def describe(module: str) -> str:
    """Read the first line of a docstring without importing."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").splitlines()[0]


class Suite:
    """Runs measures one by one and skips finished ones.

    Args:
        folder: output folder.
        quick: run small versions.
    """

    def __init__(self, folder: Path, quick: bool) -> None:
        check_folder(folder)
        self.folder, self.quick = folder, quick
        path = folder / results.FILE
        self.results: dict[str, Result] = results.read(path) if path.exists() else {}
        self.machine = machine()

    def run(self, measures: Mapping[str, str], again: bool = False) -> int:
        """Run missing measures and print the outcome of each.

        Args:
            measures: name → module.
            again: repeat finished measures.

        Returns:
            1 if a measure failed, else 0.
        """
        if gpu_name() == NO_GPU:
            print("No GPU on this machine: only the CPU is measured.", flush=True)
        for number, (name, module) in enumerate(measures.items(), start=1):
            print(f"[{number}/{len(measures)}] {name}: ", end="", flush=True)
            earlier = self.results.get(name)
            if earlier and earlier.is_done(self.quick, self.machine) and not again:
                print("already done")
                continue
            self.results[name] = self._run(module)
            results.write(self.folder, self.results)
            tables.write(self.folder, self.results)
            self._print(name)
        failed = [name for name in measures if self.results[name].status == "failed"]
        print(f"Results: {self.folder / 'benchmarks.md'}")
        if failed:
            print(f"Failed: {', '.join(failed)}; run the command again to repeat them")
        return int(bool(failed))

    def _run(self, module: str) -> Result:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "rows.json"
            options = ["--quick"] if self.quick else []
            process = subprocess.run(
                [sys.executable, "-m", "tools.benchmark.run_measure", module, str(path), *options],
                env=_environment(),
                capture_output=True,
                text=True,
            )
            seconds = round(time.monotonic() - start, 1)
            if process.returncode or not path.exists():
                return Result("failed", self.quick, self.machine, seconds, error=_last_line(process))
            rows, curves = results.read_rows(path)
        return Result("done", self.quick, self.machine, seconds, rows=rows, curves=curves)

    def _print(self, name: str) -> None:
        result = self.results[name]
        if result.status == "failed":
            print(f"FAILED after {result.seconds:.0f} s: {result.error}", flush=True)
            return
        print(f"{result.seconds:.0f} s")
        print(*as_lines(result.rows), sep="\n", flush=True)
        draw(self.folder, name, result.curves, result.rows)


def _environment() -> dict[str, str]:
    """Set one thread, since measures use one core."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}


def _last_line(process: "subprocess.CompletedProcess[str]") -> str:
    """Get the last line that a failed measure printed."""
    lines = [line.strip() for line in (process.stderr or process.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {process.returncode}, without output"
