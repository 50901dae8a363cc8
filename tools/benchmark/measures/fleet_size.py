"""Seconds of a fleet against the number of its shadow models, by the number of workers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.benchmark.devices import devices, name_of
from tools.benchmark.fleets import options_for, warm_up
from tools.benchmark.processes import run
from tools.benchmark.rows import Curve, Point, Row

CURVES = [Curve("seconds", "shadow models", "seconds of wall clock")]
SIZES = (2, 4, 8, 16, 32)
WORKERS = {"cpu": (1, 2), "cuda": (1, 4, 8)}


def measure(quick: bool) -> Iterator[Row]:
    """Seconds of wall clock, start of Python and reading of the corpus included."""
    for device in devices():
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), options_for(device, 1 if quick else None)
            warm_up(folder, options)
            for workers in WORKERS[device][: 1 if quick else None]:
                yield from _of_workers(folder, options, workers, device, SIZES[: 2 if quick else None])


def _of_workers(folder: Path, options: list[str], workers: int, device: str, sizes: tuple[int, ...]) -> Iterator[Row]:
    crew = f"{workers} worker{'s'[: workers > 1]}"
    line = crew if device == "cpu" else f"{crew}, {name_of(device)}"
    for size in sizes:
        fleet = ["--fleet.size", str(size), "--fleet.workers", str(workers)]
        timed = run("shadow", folder / f"fleet_{workers}_{size}", [*options, *fleet])
        told = f"{timed.wall / size:.2f} s a model; {timed.processor:.1f} s of processor time"
        point = Point("seconds", line, size)
        yield Row(f"fleet of {size}, {crew}", timed.wall, "s", name_of(device), note=told, point=point)
