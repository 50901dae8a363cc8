"""A fleet of shadow models against as many separate trainings by `lightning-mia fit`, on the same machine.

OMP_NUM_THREADS=1 python tools/benchmark_fleet.py

Every way starts the command line anew and ends with trained checkpoints: so many `fit` runs with a seed each, `shadow`
in one process, and `shadow` with several workers. The voices are synthesised and cached before. On a GPU, `--workers 2
4 8` finds the best packing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path(__file__).parent.parent / "configs" / "audit" / "demo.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=16, help="shadow models")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, epochs = Path(name), str(arguments.epochs)
        seconds("fit", folder / "first", "--trainer.max_epochs", "1")  # synthesises and caches the voices
        start = time.perf_counter()
        for number in range(arguments.size):
            seconds("fit", folder / f"{number}", "--trainer.max_epochs", epochs, "--seed_everything", str(number))
        separately = time.perf_counter() - start
        print(f"{arguments.size} separate fit runs: {separately:.0f} s")
        for workers in arguments.workers:
            options = ["--fleet.size", str(arguments.size), "--fleet.workers", str(workers)]
            fleet = seconds("shadow", folder / f"fleet{workers}", "--trainer.max_epochs", epochs, *options)
            print(f"shadow with {workers} worker(s): {fleet:.0f} s, ratio {fleet / separately:.2f}")


def seconds(command: str, run_dir: Path, *options: str) -> float:
    """Wall clock of one command, start-up included."""
    start = time.perf_counter()
    arguments = [command, "-c", str(CONFIG), "--run_dir", str(run_dir), "--trainer.enable_progress_bar", "false"]
    subprocess.run(
        [sys.executable, "-m", "lightning_mia", *arguments, *options],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
