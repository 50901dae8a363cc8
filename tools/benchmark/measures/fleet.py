"""Shadow models in one command against separate `lightning-mia fit` runs.

All models are those of the demo. A separate run starts Python, reads the corpus from the cache and trains one model;
`lightning-mia shadow` does the first two once. The time of all separate runs is extrapolated from a few. On one
physical core, several workers gain nothing.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tools.benchmark.devices import device_name, devices
from tools.benchmark.fleets import options_for, warm_up
from tools.benchmark.processes import Timing, run
from tools.benchmark.rows import Row, relative

N_MODELS, N_SEPARATE = 16, 4
WORKERS = {"cpu": (1, 2), "cuda": (1, 4, 8)}


def measure(quick: bool) -> Iterator[Row]:
    """Measure wall-clock, processor and optimizer-step seconds."""
    n_models, n_separate, epochs = (2, 1, 1) if quick else (N_MODELS, N_SEPARATE, None)
    for device in devices():
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), options_for(device, epochs)
            warm_up(folder, options)
            separate = run_separately(folder / "separate", options, n_separate, n_models)
            what = f"{n_models} models in separate runs"
            runs = f"{n_separate} run{'s'[: n_separate > 1]}, extrapolated to {n_models}"
            note = f"{runs}; {separate.steps:.1f} s in optimizer steps"
            yield Row(what, separate.wall, "s", device_name(device), note=note)
            first: dict[str, torch.Tensor] = {}
            for workers in WORKERS[device][: 1 if quick else None]:
                run_dir = folder / f"workers{workers}"
                fleet = ["--fleet.size", str(n_models), "--fleet.workers", str(workers)]
                timing = run("shadow", run_dir, [*options, *fleet])
                weights = load_weights(run_dir)
                first = first or weights
                what = f"{n_models} shadow models with {workers} worker{'s'[: workers > 1]}"
                yield from rows(what, timing, separate, device_name(device), equal(weights, first))


def rows(what: str, timing: Timing, separate: Timing, device: str, same: bool) -> Iterator[Row]:
    """Compare both clocks with separate runs."""
    note = f"weights {'equal' if same else 'differ from'} those with 1 worker; {timing.steps:.1f} s in optimizer steps"
    yield relative(what, timing.wall, "separate runs", separate.wall, device=device, note=note)
    yield relative(f"{what}, by processor time", timing.processor, "separate runs", separate.processor, device=device)


def run_separately(folder: Path, options: list[str], n_runs: int, n_models: int) -> Timing:
    """Time separate training runs with different members, and extrapolate."""
    total = Timing()
    for number in range(n_runs):
        seeds = ["--data.split_seed", str(number), "--seed_everything", str(number)]
        total.add(run("fit", folder / str(number), [*options, *seeds]), n_models / n_runs)
    return total


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Load the weights of all shadow models."""
    return {
        f"{path.parent.name}.{name}": weights
        for path in sorted(folder.glob("shadows/*/model.ckpt"))
        for name, weights in torch.load(path, weights_only=True)["state_dict"].items()
    }


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Check that all weights are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(weights, second[name]) for name, weights in first.items())
