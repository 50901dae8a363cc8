"""Executor on a Ray cluster: one Ray task per job."""

import importlib
import os
import pickle
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lightning_mia.training.parallel.ray_cluster import LOCAL, cluster_address, connect, import_ray
from lightning_mia.training.parallel.scheduler import Done, Event, Failed, Job, Lost
from lightning_mia.training.parallel.settings import ExecutorSettings
from lightning_mia.training.parallel.worker import EventSender, configure_worker, run_job
from lightning_mia.utilities.environment import versions
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text

POLL_SECONDS = 0.2  # between two polls for events
SECONDS_WITHOUT_NODE = 300.0  # for a cluster to add a node with enough resources
REQUIRED_PACKAGES = ("lightning-mia", "torch", "lightning")  # other versions may train other models
FORWARDED_VARIABLES = (
    *("OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PL_GLOBAL_SEED"),
    *("LIGHTNING_MIA_CACHE", "HF_HOME", "HF_HUB_OFFLINE"),
)
"""Environment variables on which results or file locations depend."""


class RayExecutor:
    """Runs jobs on a Ray cluster.

    The scheduler handles retries, not Ray.

    Args:
        settings: address of the cluster, and resources of a job.
        run_dir: folder of all jobs, visible to all nodes.
    """

    def __init__(self, settings: ExecutorSettings, run_dir: Path) -> None:
        self.settings, self.marker = settings, run_dir.resolve() / f".seen-by-all-{uuid.uuid4().hex}"
        self.max_wait = 0.0 if cluster_address(settings) == LOCAL else SECONDS_WITHOUT_NODE
        self.running: dict[Any, Job] = {}  # by Ray's reference to the task
        self.without_node_since: float | None = None

    def __enter__(self) -> "RayExecutor":
        connect(self.settings)
        self.ray = ray = import_ray()
        write_text(self.marker, "Every node of the cluster has to see this file.\n")
        self.requirements = NodeRequirements(os.getcwd(), str(self.marker), required_versions())
        here = ray.get_runtime_context().get_node_id()  # the mailbox survives the loss of other nodes
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        on_this_node = strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        self.mailbox = ray.remote(num_cpus=0, scheduling_strategy=on_this_node)(Mailbox).remote()
        self.run = ray.remote(run_on_node).options(
            num_cpus=1,
            num_gpus=self.settings.gpus_per_model,
            max_retries=0,  # the scheduler retries
            runtime_env={"env_vars": _environment(self.settings.gpus_per_model)},
        )
        return self

    def __exit__(self, *error: object) -> None:
        for reference in self.running:
            self.ray.cancel(reference, force=True)
        self.ray.kill(self.mailbox)
        self.marker.unlink(missing_ok=True)

    def has_capacity(self) -> bool:
        """Always true, since Ray queues jobs."""
        return True

    def submit(self, job: Job) -> None:
        """Submit a job to the cluster.

        Raises:
            InputError: the job cannot be pickled.
        """
        try:
            pickled = pickle.dumps(job)
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
            raise InputError(f"{job.name} cannot be sent to a Ray cluster ({error}); give the engine local") from error
        reference = self.run.remote(pickled, job.name, self.requirements, torch.get_num_threads(), self.mailbox)
        self.running[reference] = job

    def events(self) -> Sequence[tuple[Job, Event]]:
        """Poll for events and ended jobs."""
        ended, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=POLL_SECONDS)
        jobs = {job.name: job for job in self.running.values()}
        buffered = self.ray.get(self.mailbox.take.remote())
        events: list[tuple[Job, Event]] = [(jobs[name], event) for name, event in buffered if name in jobs]
        events += [(self.running.pop(reference), self._end(reference)) for reference in ended]
        return events or self._give_up_without_node()

    def _end(self, reference: Any) -> Done | Failed | Lost:
        exceptions = self.ray.exceptions
        try:
            end: Done | Failed = self.ray.get(reference)
        except exceptions.RayTaskError as error:
            # `run_on_node` catches the errors of a job, so our package probably could not be imported.
            return Failed(f"{error}\nis lightning-mia installed on every node?", user_error=False)
        except exceptions.RuntimeEnvSetupError as error:
            return Failed(" ".join(str(error).split()), user_error=True)
        except exceptions.NodeDiedError:
            return Lost("its node was lost")
        except exceptions.OutOfMemoryError:
            return Lost("its node ran out of memory")
        except exceptions.WorkerCrashedError:
            return Lost("its worker process was killed, perhaps for lack of memory")
        except exceptions.RayError as error:
            return Lost(str(error).strip().splitlines()[0])
        return end

    def _give_up_without_node(self) -> list[tuple[Job, Event]]:
        """Give up all jobs if no suitable node appears in time."""
        if not self.running or self._has_node():
            self.without_node_since = None
            return []
        if self.without_node_since is None:
            self.without_node_since = time.monotonic()
        if time.monotonic() - self.without_node_since < self.max_wait:
            return []
        lost = Lost(f"no node of the Ray cluster has {self._needs()}", permanent=True)
        jobs = list(self.running.values())
        for reference in self.running:
            self.ray.cancel(reference, force=True)
        self.running.clear()
        return [(job, lost) for job in jobs]

    def _has_node(self) -> bool:
        """Whether any live node has enough resources."""
        gpus = self.settings.gpus_per_model
        resources = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return any(node.get("CPU", 0) >= 1 and node.get("GPU", 0) >= gpus for node in resources)

    def _needs(self) -> str:
        gpus = self.settings.gpus_per_model
        return f"a CPU and {gpus:g} GPU" if gpus else "a CPU"


@dataclass(frozen=True)
class NodeRequirements:
    """Requirements on the node of a job.

    Attributes:
        folder: working directory, to which paths are relative.
        marker: a file in the run directory.
        versions: versions of the required packages.
    """

    folder: str
    marker: str
    versions: dict[str, str]

    def problem(self) -> str:
        """Describe what this node lacks in one line; empty: nothing."""
        host = os.uname().nodename if hasattr(os, "uname") else "A node"
        if not os.path.isdir(self.folder):
            return (
                f"{host} does not see the folder {self.folder} in which the command was started; start it in a folder "
                "that all nodes of the Ray cluster share"
            )
        if not os.path.exists(self.marker):
            return (
                f"{host} does not see {os.path.dirname(self.marker)}; give a --run_dir that all nodes of the Ray "
                "cluster share"
            )
        installed = required_versions()
        differing = [
            f"{name} {installed[name]}, not {version}"
            for name, version in self.versions.items()
            if installed[name] != version
        ]
        if differing:
            return f"{host} has {'; '.join(differing)}: install the same versions on all nodes of the Ray cluster"
        return ""


def required_versions() -> dict[str, str]:
    """Return the versions of the required packages."""
    return {name: version for name, version in versions().items() if name in REQUIRED_PACKAGES}


class Mailbox:
    """Ray actor that buffers the events of jobs."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Event]] = []

    def put(self, job_name: str, event: Event) -> None:
        """Append an event of a job."""
        self.events.append((job_name, event))

    def take(self) -> list[tuple[str, Event]]:
        """Remove and return all events."""
        events, self.events = self.events, []
        return events


def run_on_node(
    pickled: bytes, job_name: str, requirements: NodeRequirements, threads: int, mailbox: Any
) -> Done | Failed:
    """Run a job in a Ray worker; see `lightning_mia.training.parallel.worker.run_worker`."""
    ray = import_ray()
    if problem := requirements.problem():
        return Failed(problem, user_error=True)
    os.chdir(requirements.folder)
    last_put: list[Any] = []

    def deliver(event: Event) -> None:
        last_put[:] = [mailbox.put.remote(job_name, event)]

    sender = EventSender(deliver)
    configure_worker(sender, threads)
    end = run_job(pickled, sender)
    ray.get(last_put)  # events of one sender arrive in order: after the last, all have arrived
    return end


def _environment(gpus: float) -> dict[str, str]:
    """Select the environment of a Ray worker.

    The variables a local worker would inherit, and no unreserved GPUs.
    """
    forwarded = {name: os.environ[name] for name in FORWARDED_VARIABLES if name in os.environ}
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))  # Ray would set it to 1
    no_gpu = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return {**forwarded, "OMP_NUM_THREADS": threads, "TQDM_DISABLE": "1", **no_gpu}
