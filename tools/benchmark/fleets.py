"""Fleets of the demo's models, for measures."""

from pathlib import Path

from tools.benchmark.processes import run

CONFIG = "configs/audit/demo.yaml"


def options_for(device: str, epochs: int | None) -> list[str]:
    """Options of the command line.

    Args:
        device: `cpu` or `cuda`.
        epochs: of each model; None: as the demo has it.
    """
    accelerator = {"cpu": "cpu", "cuda": "gpu"}[device]
    options = ["-c", CONFIG, "--trainer.accelerator", accelerator, "--trainer.devices", "1"]
    return options + (["--trainer.max_epochs", str(epochs)] if epochs is not None else [])


def warm_up(folder: Path, options: list[str]) -> None:
    """Synthesise and decode the corpus, which is not to be timed."""
    run("fit", folder / "warm", [*options, "--trainer.max_epochs", "0"])
