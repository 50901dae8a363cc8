"""Threads, software versions and hardware of this machine."""

import ctypes
import gc
import io
import math
import os
import platform
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SMALL_MODEL = 1_000_000
"""Number of parameters below which several threads are slower than one."""

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
"""Packages that affect results."""

RESULT_PACKAGES = ("lightning-mia", "torch", "torchaudio", "lightning", "transformers")
"""Packages whose version must be the same for all models of a run or grid."""


GPU_NAMES = ("gpu", "cuda")
"""Values of `trainer.accelerator` that need a GPU."""


def wait_passively() -> None:
    """Let idle OpenMP threads sleep instead of spinning.

    Call it before PyTorch is imported. OMP_WAIT_POLICY takes precedence.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end this process like Ctrl-C.

    Lightning calls this handler after its own. Outside the main thread, and where a caller has its own handler, nothing
    changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector while large libraries are imported.

    They create objects that stay, and looking through these again and again takes a fifth of the import's time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle_threads(n_parameters: int) -> None:
    """Set PyTorch's number of threads.

    Small models use one, others one per physical core; OMP_NUM_THREADS takes precedence.

    Args:
        n_parameters: size of the model.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if n_parameters < SMALL_MODEL else physical_cores())


def physical_cores() -> int:
    """Count the physical cores this process may use.

    Systems that do not report them count logical cores.
    """
    import joblib

    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # joblib prints why it falls back
        warnings.simplefilter("ignore")
        n_cores: int = joblib.cpu_count(only_physical_cores=True)
    return n_cores


def lacks_gpu_driver() -> bool:
    """Test whether this machine certainly has no GPU for PyTorch, which is not imported.

    CUDA loads the driver's library by its name, and so does this function. GPUs of AMD and Apple need no such library.
    """
    package = find_spec("torch")
    if sys.platform != "linux" or package is None or package.origin is None:
        return False
    with suppress(OSError):
        is_for_amd = not re.search(r"^hip\b.*= None$", Path(package.origin).with_name("version.py").read_text(), re.M)
        if is_for_amd:
            return False
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            return True
    return False


def no_gpu(accelerator: str) -> str:
    """Explain that a GPU is asked for, and none was found.

    >>> no_gpu("gpu")
    'trainer.accelerator gpu cannot be used: no GPU was found; give cpu, or leave the option out'
    """
    return f"trainer.accelerator {accelerator} cannot be used: no GPU was found; give cpu, or leave the option out"


def free_memory_gib() -> float:
    """Return the memory that new processes can take (GiB).

    Containers have their own limits; systems that do not report their memory have no limit here.
    """
    limits = []
    with suppress(OSError, ValueError, StopIteration), open("/proc/meminfo", encoding="utf-8") as file:
        limits.append(int(next(line for line in file if line.startswith("MemAvailable")).split()[1]) * 1024)
    with suppress(OSError, ValueError):
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="utf-8"))
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")) - used)
    return min(limits, default=math.inf) / 2**30


def versions() -> dict[str, str]:
    """Return the versions of Python and of `PACKAGES`."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            installed[package] = "not installed"
    return installed


@cache
def result_versions() -> dict[str, str]:
    """Return the versions of `RESULT_PACKAGES`."""
    return {package: version for package, version in versions().items() if package in RESULT_PACKAGES}


def other_versions(made_with: Mapping[str, str]) -> list[str]:
    """List packages whose version differs from the one installed.

    Args:
        made_with: package → version.
    """
    now = result_versions()
    return [
        f"{name} {version}, not {now[name]}"
        for name, version in made_with.items()
        if name in now and version != now[name]
    ]


def hardware() -> dict[str, Any]:
    """Describe processor, cores, memory (GiB) and accelerators of this machine."""
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
