"""What measures run on, by name."""

import platform
from pathlib import Path

import torch

NO_GPU = "no GPU"


def cpu_name() -> str:
    """The processor, as the operating system names it, of which measures use one core."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU ({names[0] if names else platform.processor() or platform.machine()})"


def gpu_name() -> str:
    """The first GPU, or `NO_GPU`."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else NO_GPU


def machine() -> str:
    """The processor and the GPU: measures of another machine are not taken for this one's."""
    return f"{cpu_name()}, {gpu_name()}"


def name_of(device: str) -> str:
    """Name of a device.

    Args:
        device: `cpu` or `cuda`.
    """
    return gpu_name() if device == "cuda" else cpu_name()


def devices() -> list[str]:
    """`cpu`, and `cuda` where there is a GPU."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def wait(device: str) -> None:
    """Wait until a GPU has done what it was given.

    Args:
        device: `cpu` or `cuda`.
    """
    if device == "cuda":
        torch.cuda.synchronize()
