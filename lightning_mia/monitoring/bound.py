"""A bound on leakage, at which a training ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lightning_mia.errors import InputError
from lightning_mia.monitoring.leakage import Leakage


@dataclass(frozen=True)
class Bound:
    """No attack may get above this.

    Args:
        above: highest AUROC that is allowed, of a two-sided attack 1 − AUROC too.
        by: what is compared with it: the AUROC itself, or the upper end of its 95 % interval.
    """

    above: float
    by: Literal["estimate", "upper_bound"] = "estimate"

    def __post_init__(self) -> None:
        """Refuse what no training can be held to."""
        if not 0.5 < self.above < 1:
            raise InputError(f"stop_above is {self.above}: give an AUROC between 0.5 (chance) and 1, such as 0.6")

    def passed(self, leakages: Sequence[Leakage]) -> Leakage | None:
        """The attack that is furthest above the bound, if any is."""
        worst = max(leakages, key=lambda one: one.beyond(self.by))
        return worst if worst.beyond(self.by) > self.above else None

    def hopeless(self, worst: Leakage) -> str:
        """What to say where the bound is passed before the first step."""
        return (
            f"{self._figure(worst)} before the first step, above stop_above {self.above}: the challenge set "
            f"({worst.scores.n_members} members, {worst.scores.n_nonmembers} others) is too small for this bound; give "
            "more units, a higher bound, or fewer attacks"
        )

    def told(self, worst: Leakage, epoch: int, kept: int) -> str:
        """What to say where the training ends because of the bound."""
        return (
            f"The training was stopped by its bound on leakage (AUROC {self.above}): after epoch {epoch} "
            f"{self._figure(worst)}. The model is that of epoch {kept}, the last one measured below the bound."
        )

    def _figure(self, worst: Leakage) -> str:
        low, high = worst.interval
        return f"{worst.name} had AUROC {worst.auroc:.3f} [{low:.3f}, {high:.3f}]"
