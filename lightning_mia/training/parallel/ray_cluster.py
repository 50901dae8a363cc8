"""A Ray cluster: joined before anything else is done, so that one that cannot be had is told at once."""

import importlib
import logging
import os
import socket
from typing import Any

from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.utilities.errors import InputError

LOCAL = "local"
OBJECT_STORE_BYTES = 100 * 2**20  # tasks and news are small; models and audio go through files
SECONDS_TO_ANSWER = 10.0
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""Preface and empty SETTINGS frame with which a client of HTTP/2, and so of gRPC, begins (RFC 9113, 3.4)."""

SETTINGS = 4  # type of the frame that the server begins with; the fourth byte


def import_ray() -> Any:
    """The package Ray.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            "The engine ray takes the package Ray, which is not installed: pip install lightning-mia[ray], or give "
            "the engine local"
        ) from error


def join(settings: EngineSettings) -> None:
    """Join the cluster, or start one on this machine, unless this process is part of one already.

    It is left when this process ends.

    Raises:
        InputError: Ray is not installed, there is no cluster at the address, or this process holds a GPU of one.
    """
    ray = import_ray()
    if ray.is_initialized():
        _check_gpus(ray, settings)
        return
    address = address_of(settings)
    options: dict[str, Any] = {}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it would report to its makers
        options = {
            "num_cpus": settings.workers,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (Exception, SystemExit) as error:  # Ray ends the process where it is told to join what is no Ray
        raise _no_cluster(address, str(error)) from error


def _check_gpus(ray: Any, settings: EngineSettings) -> None:
    """Refuse a fleet within a task of Ray that waits for GPUs while it holds some; CPUs are lent on meanwhile."""
    context = ray.get_runtime_context()
    if settings.gpus_per_model and context.get_task_id() and context.get_assigned_resources().get("GPU"):
        raise InputError(
            "This cell of a grid holds a GPU of the Ray cluster while its shadow models wait for one, perhaps for "
            "ever: give --fleet.engine local, which trains them on the GPU of the cell"
        )


def address_of(settings: EngineSettings) -> str:
    """Of the cluster, as Ray takes it; "local" starts one on this machine."""
    return settings.ray_address or os.environ.get("RAY_ADDRESS") or LOCAL


def _check_answers(address: str) -> None:
    """Knock at HOST:PORT, for Ray itself waits longer than a minute for what is not there, or is no Ray."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in (LOCAL, "auto"):
        return
    if not (host and port.isdigit()):
        raise InputError(f"{address!r} is no address of a Ray cluster: give auto, HOST:PORT or ray://HOST:PORT")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS_TO_ANSWER) as connection:
            if not _speaks_grpc(connection):
                raise _no_cluster(address, "what answers there is no Ray")
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(getattr(error, "strerror", None) or error)) from error


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether a server of HTTP/2 is at the other end, as Ray is; with TLS the question is left to Ray."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True
    connection.sendall(HTTP2_HELLO)
    with connection.makefile("rb") as answer:
        return answer.read(4)[3:] == bytes([SETTINGS])


def _no_cluster(address: str, why: str) -> InputError:
    first = (why.strip().splitlines() or ["no answer"])[0].rstrip(".")
    return InputError(
        f"There is no Ray cluster at {address} ({first}); start one (ray start --head), mend the address, or give the "
        "engine local"
    )
