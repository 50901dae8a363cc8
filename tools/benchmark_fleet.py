"""A fleet of shadow models against as many separate `lightning-mia fit` runs, on the same machine.

    python tools/benchmark_fleet.py
    python tools/benchmark_fleet.py --gpu --workers 1 4 8

All models have the size, the corpus and the length of the demo. A separate run starts Python, reads the corpus from
the cache and trains one model; a fleet does the first two once. Prints seconds, processor seconds of all processes,
seconds spent in optimizer steps (over all models), the ratio to the separate runs, and whether the weights equal those
of the first fleet to the bit. With one physical core several workers have nothing to gain.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

REPOSITORY = Path(__file__).parents[1]


@dataclass
class Timed:
    """What a way of training took, in seconds."""

    wall: float = 0.0
    processor: float = 0.0  # of all processes
    steps: float = 0.0  # in optimizer steps, of all models

    def row(self, name: str, separate: "Timed", note: str = "") -> str:
        ratios = f"{self.wall / separate.wall:5.2f}  {self.processor / separate.processor:9.2f}"
        return f"{name:16}  {self.wall:7.1f}  {self.processor:9.1f}  {self.steps:5.1f}  {ratios}  {note}".rstrip()


def run(command: str, folder: Path, options: list[str]) -> Timed:
    """One command in a process of its own."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [command, "--run_dir", str(folder), *options, "--trainer.enable_progress_bar", "false"]
    ran = subprocess.run(
        [sys.executable, "-m", "lightning_mia", *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    if ran.returncode:
        raise SystemExit(f"lightning-mia {' '.join(arguments)} ended with status {ran.returncode}:\n{ran.stderr}")
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    records = [json.loads(path.read_text())["record"] for path in folder.glob("**/stage.json")]
    return Timed(wall, processor, sum(record["loop_seconds"] for record in records))


def separately(folder: Path, options: list[str], n_runs: int, n_models: int) -> Timed:
    """Separate runs, each with another half of the challenge set; some of them stand for all."""
    total = Timed()
    for number in range(n_runs):
        seeds = ["--data.split_seed", str(number), "--seed_everything", str(number)]
        one = run("fit", folder / str(number), [*options, *seeds])
        for name, seconds in vars(one).items():
            setattr(total, name, getattr(total, name) + seconds * n_models / n_runs)
    return total


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a fleet."""
    return {
        f"{path.parent.name}.{name}": weights
        for path in sorted(folder.glob("shadows/*/model.ckpt"))
        for name, weights in torch.load(path, weights_only=True)["state_dict"].items()
    }


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(weights, other[name]) for name, weights in one.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=16)
    parser.add_argument("--epochs", type=int, help="of each model; by default as the config says")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="fleets to be tried")
    parser.add_argument("--separate", type=int, help="separate runs that stand for all; by default as many as models")
    parser.add_argument("--config", default="configs/audit/demo.yaml")
    parser.add_argument("--gpu", action="store_true", help="train on one GPU, instead of one thread of the processor")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    accelerator = "gpu" if arguments.gpu else "cpu"
    options = ["-c", arguments.config, "--trainer.accelerator", accelerator, "--trainer.devices", "1"]
    options += ["--trainer.max_epochs", str(arguments.epochs)] if arguments.epochs else []
    n_runs = arguments.separate or arguments.models
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("fit", folder / "warm", [*options, "--trainer.max_epochs", "0"])  # synthesises and decodes the corpus
        separate = separately(folder / "separate", options, n_runs, arguments.models)
        length = f"{arguments.epochs} epochs" if arguments.epochs else "full length"
        print(f"{arguments.models} models of {length}, {arguments.config}, on a {accelerator}")
        print("                  seconds  processor  steps  ratio  processor  weights")
        told = "" if n_runs == arguments.models else f"{n_runs} runs stand for {arguments.models}"
        print(separate.row("separate runs", separate, told), flush=True)
        first: dict[str, torch.Tensor] = {}
        for workers in arguments.workers:
            run_dir = folder / f"workers{workers}"
            fleet = ["--fleet.size", str(arguments.models), "--fleet.workers", str(workers)]
            timed = run("shadow", run_dir, [*options, *fleet])
            weights = weights_of(run_dir)
            first = first or weights
            note = "" if weights is first else "equal" if equal(weights, first) else "differ"
            print(timed.row(f"fleet, {workers} worker{'s'[: workers > 1]}", separate, note), flush=True)


if __name__ == "__main__":
    main()
