"""How large the fleet of shadow models is, what it is drawn from, and how it is trained."""

from dataclasses import dataclass
from typing import Literal

from lightning_mia.errors import InputError


@dataclass(frozen=True)
class FleetSettings:
    """Shadow models: trained exactly like the target, on halves of the challenge set that are drawn for each.

    Args:
        size: shadow models, an even number: they come in complementary pairs; 0 trains none. A fleet can be enlarged
            later, and keeps what is trained.
        workers: shadow models trained at a time, each in a process of its own on this machine, with as many threads
            (OMP_NUM_THREADS) as a single one; on GPUs they are spread over those that there are, several to a GPU
            where they are more. Does not change the models.
        pool: what the shadow models are trained on. `challenge`: halves of the challenge set, so that every unit is IN
            for half of them: the auditor's upper bound. `auxiliary`: halves of a pool that is taken from the
            auxiliary recordings, so that no shadow model ever saw a challenge unit: what an outsider can do.
        take_turns: each shadow model also stands in for the target, against the others but for its partner: mean and
            standard deviation over them are reported.
    """

    size: int = 0
    workers: int = 1
    pool: Literal["challenge", "auxiliary"] = "challenge"
    take_turns: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no fleet."""
        if self.size < 0 or self.size % 2:
            raise InputError(f"fleet.size is {self.size}: shadow models come in pairs, give an even number")
        if self.workers < 1:
            raise InputError(f"fleet.workers is {self.workers}: give 1 or more")
