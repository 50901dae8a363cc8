"""Seconds to train shadow models, by their number and workers."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tools.benchmark.devices import device_name, devices
from tools.benchmark.fleets import options_for, warm_up
from tools.benchmark.processes import run
from tools.benchmark.rows import Curve, Point, Row

CURVES = [Curve("seconds", "shadow models", "wall-clock seconds")]
SIZES = (2, 4, 8, 16, 32)
WORKERS = {"cpu": (1, 2), "cuda": (1, 4, 8)}


def measure(quick: bool) -> Iterator[Row]:
    """Measure wall-clock seconds, including Python's start and corpus reading."""
    for device in devices():
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), options_for(device, 1 if quick else None)
            warm_up(folder, options)
            for workers in WORKERS[device][: 1 if quick else None]:
                yield from _rows(folder, options, workers, device, SIZES[: 2 if quick else None])


def _rows(folder: Path, options: list[str], workers: int, device: str, sizes: tuple[int, ...]) -> Iterator[Row]:
    label = f"{workers} worker{'s'[: workers > 1]}"
    line = label if device == "cpu" else f"{label}, {device_name(device)}"
    for size in sizes:
        fleet = ["--fleet.size", str(size), "--fleet.workers", str(workers)]
        timing = run("shadow", folder / f"fleet_{workers}_{size}", [*options, *fleet])
        note = f"{timing.wall / size:.2f} s per model; {timing.processor:.1f} s of processor time"
        point = Point("seconds", line, size)
        yield Row(f"{size} shadow models, {label}", timing.wall, "s", device_name(device), note=note, point=point)
