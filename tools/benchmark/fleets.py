"""Shadow models of the demo, for benchmarks."""

from pathlib import Path

from tools.benchmark.processes import run

CONFIG = "configs/audit/demo.yaml"


def options_for(device: str, epochs: int | None) -> list[str]:
    """Make the command-line options.

    Args:
        device: `cpu` or `cuda`.
        epochs: epochs per model; None: those of the demo.
    """
    accelerator = {"cpu": "cpu", "cuda": "gpu"}[device]
    options = ["-c", CONFIG, "--trainer.accelerator", accelerator, "--trainer.devices", "1"]
    options += ["--fleet.targets", "own"]  # so that they can be trained without a target
    return options + (["--trainer.max_epochs", str(epochs)] if epochs is not None else [])


def warm_up(folder: Path, options: list[str]) -> None:
    """Synthesise and decode the corpus, outside the timing."""
    run("fit", folder / "warm", [*options, "--trainer.max_epochs", "0"])
