"""A fleet of shadow models against as many separate `lightning-mia fit` runs, on the same machine.

All models have the size, the corpus and the length of the demo. A separate run starts Python, reads the corpus from
the cache and trains one model; a fleet does the first two once. The time of some separate runs is extrapolated to all.
With one physical core several workers have nothing to gain.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from tools.benchmark.devices import devices, name_of
from tools.benchmark.fleets import options_for, warm_up
from tools.benchmark.processes import Timed, run
from tools.benchmark.rows import Row, relative

N_MODELS, N_SEPARATE = 16, 4
WORKERS = {"cpu": (1, 2), "cuda": (1, 4, 8)}


def measure(quick: bool) -> Iterator[Row]:
    """Seconds of wall clock and of all processors, and those in optimizer steps."""
    n_models, n_separate, epochs = (2, 1, 1) if quick else (N_MODELS, N_SEPARATE, None)
    for device in devices():
        with tempfile.TemporaryDirectory() as name:
            folder, options = Path(name), options_for(device, epochs)
            warm_up(folder, options)
            separate = separately(folder / "separate", options, n_separate, n_models)
            what = f"{n_models} models in separate runs"
            note = f"{n_separate} runs, extrapolated to {n_models}; {separate.steps:.1f} s in optimizer steps"
            yield Row(what, separate.wall, "s", name_of(device), note=note)
            first: dict[str, torch.Tensor] = {}
            for workers in WORKERS[device][: 1 if quick else None]:
                run_dir = folder / f"workers{workers}"
                fleet = ["--fleet.size", str(n_models), "--fleet.workers", str(workers)]
                timed = run("shadow", run_dir, [*options, *fleet])
                weights = weights_of(run_dir)
                first = first or weights
                what = f"{n_models} shadow models with {workers} worker{'s'[: workers > 1]}"
                yield from rows(what, timed, separate, name_of(device), equal(weights, first))


def rows(what: str, timed: Timed, separate: Timed, device: str, same: bool) -> Iterator[Row]:
    """Both clocks, against separate runs."""
    told = f"weights {'equal' if same else 'differ from'} those with 1 worker; {timed.steps:.1f} s in steps"
    yield relative(what, timed.wall, "separate runs", separate.wall, device=device, note=told)
    yield relative(f"{what}, by processor time", timed.processor, "separate runs", separate.processor, device=device)


def separately(folder: Path, options: list[str], n_runs: int, n_models: int) -> Timed:
    """Separate runs, each with another half of the challenge set; their time is extrapolated to all."""
    total = Timed()
    for number in range(n_runs):
        seeds = ["--data.split_seed", str(number), "--seed_everything", str(number)]
        total.add(run("fit", folder / str(number), [*options, *seeds]), n_models / n_runs)
    return total


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All weights of a fleet."""
    return {
        f"{path.parent.name}.{name}": weights
        for path in sorted(folder.glob("shadows/*/model.ckpt"))
        for name, weights in torch.load(path, weights_only=True)["state_dict"].items()
    }


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two fleets are the same to the bit."""
    return one.keys() == other.keys() and all(torch.equal(weights, other[name]) for name, weights in one.items())
