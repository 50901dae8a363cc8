"""How large the fleet of shadow models is, what it is drawn from, and where its models are trained."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from lightning_mia.utilities.errors import InputError


@dataclass(frozen=True)
class EngineSettings:
    """Where many models are trained: worker processes on this machine, or a Ray cluster. Does not change the models.

    Args:
        workers: models trained at a time, each in a process of its own on this machine. A Ray cluster trains as many at
            a time as it has room for.
        engine: `local`: processes on this machine. `ray`: tasks of Ray (pip install lightning-mia[ray]), on a folder
            that all nodes share.
        ray_address: of the cluster: `auto` on a node of it, HOST:PORT, or ray://HOST:10001 from elsewhere. By default
            what RAY_ADDRESS says, or a Ray of its own on this machine, with as many CPUs as workers.
        gpus_per_model: GPUs that Ray keeps for a model, one or a fraction of one; 0 trains on a CPU.
        retries: how often a model is begun again whose worker was killed or whose node was lost; it goes on from what
            it had saved.
    """

    workers: int = 1
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    gpus_per_model: float = 0.0
    retries: int = 2

    prefix: ClassVar[str] = "--"  # of its options, in messages

    def __post_init__(self) -> None:
        """Refuse what is no number of workers, GPUs or retries."""
        if self.workers < 1:
            raise InputError(f"{self.prefix}workers is {self.workers}: give 1 or more")
        if not 0 <= self.gpus_per_model <= 1:
            raise InputError(
                f"{self.prefix}gpus_per_model is {self.gpus_per_model}: give 1, a fraction such as 0.25, or 0 for CPUs"
            )
        if self.retries < 0:
            raise InputError(f"{self.prefix}retries is {self.retries}: give 0 or more")
        if self.engine == "local" and (self.ray_address is not None or self.gpus_per_model):
            name = "gpus_per_model" if self.ray_address is None else "ray_address"
            raise InputError(f"{self.prefix}{name} is for Ray: give {self.prefix}engine ray too, or leave it out")


@dataclass(frozen=True)
class FleetSettings(EngineSettings):
    """Shadow models: trained exactly like the target, on halves of the challenge set that are drawn for each.

    Args:
        workers: shadow models trained at a time, each in a process of its own on this machine, with as many threads
            (OMP_NUM_THREADS) as a single one; on GPUs they are spread over those that there are, several to a GPU
            where they are more. Does not change the models. A Ray cluster trains as many at a time as it has room for.
        engine: `local`: processes on this machine. `ray`: tasks of Ray (pip install lightning-mia[ray]), on a folder
            that all nodes share. Does not change the models.
        ray_address: of the cluster: `auto` on a node of it, HOST:PORT, or ray://HOST:10001 from elsewhere. By default
            what RAY_ADDRESS says, or a Ray of its own on this machine, with as many CPUs as workers.
        gpus_per_model: GPUs that Ray keeps for a shadow model, one or a fraction of one; 0 trains on a CPU.
        retries: how often a shadow model is begun again whose worker was killed or whose node was lost; it goes on from
            what it had saved.
        size: shadow models, an even number: they come in complementary pairs; 0 trains none. A fleet can be enlarged
            later, and keeps what is trained.
        pool: what the shadow models are trained on. `challenge`: halves of the challenge set, so that every unit is IN
            for half of them: the auditor's upper bound. `auxiliary`: halves of a pool that is taken from the
            auxiliary recordings, so that no shadow model ever saw a challenge unit: what an outsider can do.
        take_turns: each shadow model also stands in for the target, against the others but for its partner: mean and
            standard deviation over them are reported.
    """

    size: int = 0
    pool: Literal["challenge", "auxiliary"] = "challenge"
    take_turns: bool = True

    prefix: ClassVar[str] = "fleet."

    def __post_init__(self) -> None:
        """Refuse what is no fleet."""
        super().__post_init__()
        if self.size < 0 or self.size % 2:
            raise InputError(f"fleet.size is {self.size}: shadow models come in pairs, give an even number")
