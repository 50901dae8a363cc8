"""How many threads compute on the CPU."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SMALL = 1_000_000  # parameters; below, the threads of one model wait for each other longer than they compute


def wait_passively() -> None:
    """Let idle OpenMP threads sleep instead of spinning, where the user has not said otherwise.

    Comes before PyTorch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def settle_threads(n_parameters: int) -> None:
    """Give PyTorch one thread for a small model and one a physical core for others; OMP_NUM_THREADS has precedence."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if n_parameters < SMALL else physical_cores())


def physical_cores() -> int:
    """Physical cores that this process may use; logical ones where the system does not tell."""
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    siblings = [Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in mine]
    try:
        return len({path.read_text() for path in siblings})
    except OSError:
        return len(mine)


PACKAGES = (
    "lightning-mia",
    "lightning",
    "torch",
    "torchaudio",
    "torchmetrics",
    "transformers",
    "numpy",
    "scikit-learn",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that figures depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, memory (GiB) and accelerators of this machine."""
    import torch

    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    if torch.cuda.is_available():
        facts["accelerators"] = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return facts


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0] if names else platform.machine()
    except OSError:
        return platform.processor() or platform.machine()
