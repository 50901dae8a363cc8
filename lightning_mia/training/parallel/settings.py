"""Settings of parallel jobs and of the shadow models."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.ranges import MAX_PROCESSES, CountOrNone, Range, Share, check_fields

Workers = Annotated[int, Range(1, MAX_PROCESSES)] | Literal["auto"]


@dataclass(frozen=True)
class ExecutorSettings:
    """Parallel training in local processes or on a Ray cluster.

    These settings do not change the models.

    Args:
        workers: models trained at a time, each in its own process on this machine; `auto`: one per physical core, or
            several small ones per GPU. A Ray cluster trains as many at a time as it has resources for.
        engine: `local`: processes on this machine. `ray`: Ray tasks (pip install ray), on a folder
            shared by all nodes.
        ray_address: address of the cluster: `auto` on one of its nodes, HOST:PORT, or ray://HOST:10001 from elsewhere.
            By default RAY_ADDRESS, or a new Ray instance on this machine with as many CPUs as workers.
        gpus_per_model: GPUs that Ray reserves for a model, one or a fraction of one; 0 trains on a CPU.
        retries: retries of a model whose worker was killed or whose node was lost; it continues from its last
            checkpoint.

    Example:
        >>> ExecutorSettings(workers=4).engine
        'local'
    """

    workers: Workers = 1
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    gpus_per_model: Share = 0.0
    retries: CountOrNone = 2

    option_prefix: ClassVar[str] = "--"  # in messages

    @property
    def n_workers(self) -> int:
        """Number of workers; 1 for `auto` that is not settled yet."""
        return 1 if self.workers == "auto" else self.workers

    def __post_init__(self) -> None:
        """Validate the settings."""
        prefix = self.option_prefix
        check_fields(self, prefix)
        if self.engine == "local" and (self.ray_address is not None or self.gpus_per_model):
            name = "gpus_per_model" if self.ray_address is None else "ray_address"
            raise InputError(f"{prefix}{name} is for Ray: give {prefix}engine ray too, or leave it out")


@dataclass(frozen=True)
class FleetSettings(ExecutorSettings):
    """Shadow models, trained like the target on random halves.

    Each trains on half of the challenge set, or of an auxiliary pool.

    Args:
        workers: shadow models trained at a time, each in its own process on this machine, with as many threads
            (OMP_NUM_THREADS) as a single one; on GPUs they are distributed over the visible ones, several to a GPU if
            there are more workers. `auto`: as many as the physical cores, the memory and the GPUs hold, up to 8 small
            models per GPU. Does not change the models. A Ray cluster trains as many at a time as it has resources for.
        engine: `local`: processes on this machine. `ray`: Ray tasks (pip install ray), on a folder
            shared by all nodes. Does not change the models.
        ray_address: address of the cluster: `auto` on one of its nodes, HOST:PORT, or ray://HOST:10001 from elsewhere.
            By default RAY_ADDRESS, or a new Ray instance on this machine with as many CPUs as workers.
        gpus_per_model: GPUs that Ray reserves for a shadow model, one or a fraction of one; 0 trains on a CPU.
        retries: retries of a shadow model whose worker was killed or whose node was lost; it continues from its last
            checkpoint.
        size: number of shadow models, even, because they come in complementary pairs; 0 trains none. It can be raised
            later; models already trained are kept.
        pool: training data of the shadow models. `challenge`: halves of the challenge set, so that every unit is IN for
            half of them: an upper bound for an auditor. `auxiliary`: halves of a pool of auxiliary recordings, so that
            no shadow model is trained on a challenge unit: the setting of an outside adversary.
        targets: learned targets of the shadow models: clusters of HuBERT and MelHuBERT, and of an encoder without
            heads whose pretraining is continued. `victim`: copies of the target's, which is trained first; all losses
            are then about the same targets, and attacks on them find more. `own`: each shadow model fits its own on
            its training set. No effect on other models, which have none: TERA, wav2vec 2.0, CPC, CTC.
        take_turns: also evaluate each shadow model as the target, against the others except its partner; mean and
            standard deviation over them are reported.
        references: checkpoints that were trained on no recording of the challenge set, such as the public base of a
            fine-tuned target; offline attacks compare the target with them, instead of shadow models, and the first
            is the wrong model unless controls.wrong_model_checkpoint names another. Folders, hub names or Lightning
            checkpoints, like the target.
        start: with `pool: auxiliary`, checkpoint that the shadow models of a target from elsewhere continue to train;
            by default they are trained from scratch.
        checkpoints: shadow models that were trained elsewhere, on the lists S/train/shadow_000, … of --split S: their
            files or folders with one number, such as "DIR/shadow_{:03d}". All lists by default; with `size`, the
            first ones.

    Example:
        >>> FleetSettings(size=16, workers=4).pool
        'challenge'
    """

    workers: Workers = "auto"
    size: Annotated[int, Range(0, 10_000)] = 0
    pool: Literal["challenge", "auxiliary"] = "challenge"
    targets: Literal["own", "victim"] = "victim"
    take_turns: bool = True
    references: list[str] = field(default_factory=list)
    start: str | None = None
    checkpoints: str | None = None

    option_prefix: ClassVar[str] = "fleet."

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        if self.size % 2:
            raise InputError(f"fleet.size is {self.size}: shadow models come in pairs, give an even number")
        if self.references and (self.size or self.checkpoints):
            raise InputError(
                "fleet.references are compared with the target instead of shadow models: give --fleet.size 0 and no "
                "--fleet.checkpoints, or leave fleet.references out"
            )
        if self.start is not None and not (self.size and self.pool == "auxiliary"):
            raise InputError(
                "fleet.start is the checkpoint that shadow models continue to train on auxiliary recordings: give "
                "--fleet.size and --fleet.pool auxiliary too, or leave it out"
            )
        if self.checkpoints is not None and self.pool != "challenge":
            raise InputError(
                f"fleet.checkpoints are trained on halves of the challenge set, but fleet.pool is {self.pool}: leave "
                "one of them out"
            )
