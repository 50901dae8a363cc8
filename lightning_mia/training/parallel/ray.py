"""Tasks of Ray: one a model, on whatever node of the cluster has room for it."""

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

from lightning_mia.training.parallel.ray_cluster import LOCAL, address_of, import_ray, join
from lightning_mia.training.parallel.scheduler import Done, Event, Failed, Job, Lost
from lightning_mia.training.parallel.settings import EngineSettings
from lightning_mia.training.parallel.worker import EventSender, outcome, prepare
from lightning_mia.utilities.environment import versions
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import write_text


class Mailbox:
    """An actor of Ray that keeps what tasks tell until it is fetched."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, Event]] = []

    def put(self, name: str, news: Event) -> None:
        """Keep what the task of this name tells."""
        self.letters.append((name, news))

    def take(self) -> list[tuple[str, Event]]:
        """Hand over everything that is there."""
        letters, self.letters = self.letters, []
        return letters


SECONDS = 0.2  # between two looks at what has happened
SECONDS_WITHOUT_NODE = 300.0  # that a cluster is given to bring a node that can hold a model
DECISIVE = ("lightning-mia", "torch", "lightning")
PASSED_ON = (
    *("OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PL_GLOBAL_SEED"),
    *("LIGHTNING_MIA_CACHE", "HF_HOME", "HF_HUB_OFFLINE"),
)
"""Environment variables on which results, or files that are found, depend."""


@dataclass(frozen=True)
class Premises:
    """What a node must have in common with the process that hands out the tasks.

    Attributes:
        folder: the current folder, from which paths are read.
        marker: a file in the run directory.
        versions: of what computes.
    """

    folder: str
    marker: str
    versions: dict[str, str]

    def problem(self) -> str:
        """What is missing on this node, in one line; empty: nothing."""
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
        here = decisive_versions()
        others = [
            f"{name} {here[name]}, not {wanted}" for name, wanted in self.versions.items() if here[name] != wanted
        ]
        if others:
            return f"{host} has {'; '.join(others)}: install the same versions on all nodes of the Ray cluster"
        return ""


def decisive_versions() -> dict[str, str]:
    """Of what may train other models in another version."""
    return {name: version for name, version in versions().items() if name in DECISIVE}


def do_on_node(pickled: bytes, name: str, premises: Premises, threads: int, mailbox: Any) -> Done | Failed:
    """Do a task in a worker process of Ray; see `lightning_mia.training.parallel.worker.work`."""
    ray = import_ray()
    if problem := premises.problem():
        return Failed(problem, mendable=True)
    os.chdir(premises.folder)
    sent: list[Any] = []

    def deliver(news: Event) -> None:
        sent[:] = [mailbox.put.remote(name, news)]

    tell = EventSender(deliver)
    prepare(tell, threads)
    end = outcome(pickled, tell)
    ray.get(sent)  # letters of one sender arrive in order: once the last is there, all are
    return end


class RayExecutor:
    """Does tasks on a Ray cluster; the scheduler begins lost ones again, so that Ray itself is not asked to.

    Args:
        settings: which cluster, and what it keeps for a task.
        run_dir: folder in which all tasks work, to be seen by all nodes.
    """

    def __init__(self, settings: EngineSettings, run_dir: Path) -> None:
        self.settings, self.marker = settings, run_dir.resolve() / f".seen-by-all-{uuid.uuid4().hex}"
        self.patience = 0.0 if address_of(settings) == LOCAL else SECONDS_WITHOUT_NODE
        self.going: dict[Any, Job] = {}  # by Ray's reference to the task
        self.homeless_since: float | None = None

    def __enter__(self) -> "RayExecutor":
        join(self.settings)
        self.ray = ray = import_ray()
        write_text(self.marker, "Every node of the cluster has to see this file.\n")
        self.premises = Premises(os.getcwd(), str(self.marker), decisive_versions())
        here = ray.get_runtime_context().get_node_id()  # so that the loss of another node leaves the mailbox alone
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        beside_us = strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        self.mailbox = ray.remote(num_cpus=0, scheduling_strategy=beside_us)(Mailbox).remote()
        self.do = ray.remote(do_on_node).options(
            num_cpus=1,
            num_gpus=self.settings.gpus_per_model,
            max_retries=0,
            runtime_env={"env_vars": _environment(self.settings.gpus_per_model)},
        )
        return self

    def __exit__(self, *error: object) -> None:
        for reference in self.going:
            self.ray.cancel(reference, force=True)
        self.ray.kill(self.mailbox)
        self.marker.unlink(missing_ok=True)

    def has_room(self) -> bool:
        """Whether one more may be begun: always, since Ray lets wait what does not fit yet."""
        return True

    def begin(self, task: Job) -> None:
        """Hand a task to the cluster.

        Raises:
            InputError: the task holds what cannot be sent to another process.
        """
        try:
            pickled = pickle.dumps(task)
        except (AttributeError, RuntimeError, TypeError, pickle.PicklingError) as error:
            raise InputError(f"{task.name} cannot be sent to a Ray cluster ({error}); give the engine local") from error
        self.going[self.do.remote(pickled, task.name, self.premises, torch.get_num_threads(), self.mailbox)] = task

    def news(self) -> Sequence[tuple[Job, Event]]:
        """Look at what was told and has ended meanwhile."""
        ended, _ = self.ray.wait(list(self.going), num_returns=len(self.going), timeout=SECONDS)
        named = {task.name: task for task in self.going.values()}
        letters = self.ray.get(self.mailbox.take.remote())
        told: list[tuple[Job, Event]] = [(named[name], news) for name, news in letters if name in named]
        told += [(self.going.pop(reference), self._end_of(reference)) for reference in ended]
        return told or self._without_node()

    def _end_of(self, reference: Any) -> Done | Failed | Lost:
        exceptions = self.ray.exceptions
        try:
            end: Done | Failed = self.ray.get(reference)
        except exceptions.RayTaskError as error:  # before our own code could look after it: it is not installed there
            return Failed(f"{error}\nis lightning-mia installed on every node?", mendable=False)
        except exceptions.RuntimeEnvSetupError as error:
            return Failed(" ".join(str(error).split()), mendable=True)
        except exceptions.NodeDiedError:
            return Lost("its node was lost")
        except exceptions.OutOfMemoryError:
            return Lost("its node ran out of memory")
        except exceptions.WorkerCrashedError:
            return Lost("its worker process was killed, perhaps for want of memory")
        except exceptions.RayError as error:
            return Lost(str(error).strip().splitlines()[0])
        return end

    def _without_node(self) -> list[tuple[Job, Event]]:
        """Give up all tasks once no node could have held any of them for too long."""
        if not self.going or self._has_node():
            self.homeless_since = None
            return []
        if self.homeless_since is None:
            self.homeless_since = time.monotonic()
        if time.monotonic() - self.homeless_since < self.patience:
            return []
        lost = Lost(f"no node of the Ray cluster has {self._needs()}", for_good=True)
        tasks = list(self.going.values())
        for reference in self.going:
            self.ray.cancel(reference, force=True)
        self.going.clear()
        return [(task, lost) for task in tasks]

    def _has_node(self) -> bool:
        """Whether any node that is up could hold a task, were it idle."""
        gpus = self.settings.gpus_per_model
        resources = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return any(one.get("CPU", 0) >= 1 and one.get("GPU", 0) >= gpus for one in resources)

    def _needs(self) -> str:
        gpus = self.settings.gpus_per_model
        return f"a CPU and {gpus:g} GPU" if gpus else "a CPU"


def _environment(gpus: float) -> dict[str, str]:
    """For a worker process of Ray: what a local one would inherit, and no GPU where none was asked for."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))  # Ray would set it to 1
    no_gpu = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return {**passed_on, "OMP_NUM_THREADS": threads, "TQDM_DISABLE": "1", **no_gpu}
