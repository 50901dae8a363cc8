"""How many threads compute on the CPU."""

import os
from pathlib import Path

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
