"""Early stopping: a training ends where speech that it does not train on stops gaining."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import lightning as L

from lightning_mia.audit.monitor.leakage import ChallengeSet, Leakage
from lightning_mia.audit.monitor.online_probe import ask
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.callbacks import Snapshot
from lightning_mia.utilities.errors import InputError


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


NO_AUXILIARY = (
    "Early stopping (patience) goes by the pretext loss of the auxiliary recordings, but there are none: give "
    "data.design.n_auxiliary, or rows of the manifest with an empty member, or leave patience out"
)

HELD_OUT_LOSS = "held_out_loss"  # in a snapshot


@dataclass(frozen=True)
class Patience:
    """How long a training may go on without a gain.

    Args:
        measurements: without a held-out loss below the lowest one, after which the training ends.
    """

    measurements: int

    def __post_init__(self) -> None:
        """Refuse what is none."""
        if self.measurements < 1:
            raise InputError(f"patience is {self.measurements}: give 1 or more measurements")

    def improves(self, loss: float, kept: Snapshot | None) -> bool:
        """Whether a loss is below that of the snapshot, or there is none yet."""
        return kept is None or loss < kept[HELD_OUT_LOSS]

    def over(self, loss: float, epoch: int, kept: Snapshot, every_n_epochs: int, ends: bool) -> str:
        """What to say where it goes back to the snapshot; empty: the training goes on.

        Args:
            loss: of the present measurement, not below that of the snapshot.
            epoch: of the present measurement.
            kept: the training as it was when the loss was lowest.
            every_n_epochs: epochs between two measurements.
            ends: the training ends here anyway.
        """
        if not ends and epoch - kept["epochs"] < self.measurements * every_n_epochs:
            return ""
        return (
            f"Early stopping: the pretext loss of the auxiliary recordings was lowest after epoch {kept['epochs']} "
            f"({kept[HELD_OUT_LOSS]:.3f}; {loss:.3f} after epoch {epoch}, where the training ended). The model is that "
            f"of epoch {kept['epochs']}."
        )


def held_out_loss(model: SpeechModel, challenge: ChallengeSet, settings: ProbeSettings, trainer: L.Trainer) -> float:
    """Mean pretext loss (as negative log-odds; TERA: log L1) of the auxiliary recordings, under masks that stay.

    Raises:
        InputError: the model has no pretext task.
    """
    signals = ask(model, [settings.answers], replace(challenge, recordings=challenge.auxiliary), settings, trainer)
    if not signals.has(PRETEXT_SCORE):
        raise InputError(f"patience goes by the pretext loss, which {type(model).__name__} does not have: leave it out")
    return -float(signals.pretext_score().mean())
