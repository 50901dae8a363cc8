"""Names of the devices that measures run on."""

import platform
from pathlib import Path

import torch

NO_GPU = "no GPU"


def cpu_name() -> str:
    """Get the processor's name; measures use one core of it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"CPU ({names[0] if names else platform.processor() or platform.machine()})"


def gpu_name() -> str:
    """Get the name of the first GPU, or `NO_GPU`."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else NO_GPU


def machine() -> str:
    """Describe this machine; results of other machines do not count."""
    return f"{cpu_name()}, {gpu_name()}"


def device_name(device: str) -> str:
    """Get the name of a device.

    Args:
        device: `cpu` or `cuda`.
    """
    return gpu_name() if device == "cuda" else cpu_name()


def devices() -> list[str]:
    """List `cpu` and, if there is a GPU, `cuda`."""
    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def wait(device: str) -> None:
    """Wait until the device has finished its work.

    Args:
        device: `cpu` or `cuda`.
    """
    if device == "cuda":
        torch.cuda.synchronize()
