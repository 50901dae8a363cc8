"""Connect to a Ray cluster.

A run connects before any other work, so that a missing cluster is reported first.
"""

import importlib
import logging
import os
import warnings
from typing import Any

from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.utilities.environment import physical_cores
from lightning_mia.utilities.errors import InputError

LOCAL = "local"
OBJECT_STORE_BYTES = 100 * 2**20  # jobs and events are small; models and audio go through files

LOCAL_DEFAULTS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one node: its ports on 127.0.0.1 only, as Ray does on other systems
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray would report its use to its vendor
}
"""Ray's own settings for a cluster on this machine."""

CONNECTION_DEFAULTS = {
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # attempts at HOST:PORT, 20 by default
    "RAY_py_gcs_connect_timeout_s": "5",  # 30 by default
    "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "5",  # of each of three attempts at ray://HOST:PORT
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "5",  # 30 by default
    "RAY_BACKEND_LOG_LEVEL": "error",  # each failed attempt would be logged
}
"""Ray's own settings, which it reads when it is imported; with its defaults a wrong address is reported after minutes,
with these after about 16 seconds."""


def import_ray() -> Any:
    """Import the package Ray.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            "The engine ray needs the package Ray, which is not installed: pip install ray, or give the engine local"
        ) from error


def connect(settings: ExecutorSettings) -> None:
    """Connect to the cluster, or start one here.

    If already connected, do nothing. The connection ends with this process.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, or this process holds one of its GPUs.
    """
    address = cluster_address(settings)
    for name, value in (LOCAL_DEFAULTS if address == LOCAL else CONNECTION_DEFAULTS).items():
        os.environ.setdefault(name, value)
    ray = import_ray()
    if ray.is_initialized():
        _check_gpus(ray, settings)
        return
    _check_address(address)
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {
            "num_cpus": physical_cores() if settings.workers == "auto" else settings.workers,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Ray, about the failure that is reported below
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (Exception, SystemExit) as error:  # Ray exits if the address belongs to another kind of server
        reason = (str(error).strip().splitlines() or ["no answer"])[0].rstrip(".")
        raise InputError(
            f"There is no Ray cluster at {address} ({reason}); start one (ray start --head), fix the address, or give "
            "the engine local"
        ) from error


def cluster_address(settings: ExecutorSettings) -> str:
    """Return the address for `ray.init`.

    "local" starts a cluster on this machine.
    """
    return settings.ray_address or os.environ.get("RAY_ADDRESS") or LOCAL


def _check_gpus(ray: Any, settings: ExecutorSettings) -> None:
    """Refuse to wait for GPUs while holding one.

    A waiting task lends its CPUs to others, but not its GPUs.
    """
    context = ray.get_runtime_context()
    if settings.gpus_per_model and context.get_task_id() and context.get_assigned_resources().get("GPU"):
        raise InputError(
            "This cell of a grid holds a GPU of the Ray cluster while its shadow models wait for one, perhaps "
            "forever: give --fleet.engine local, which trains them on the GPU of the cell"
        )


def _check_address(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address not in (LOCAL, "auto") and not (host and port.isdigit()):
        raise InputError(f"{address!r} is not the address of a Ray cluster: give auto, HOST:PORT or ray://HOST:PORT")
