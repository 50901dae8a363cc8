"""Early stopping: a training ends where speech that it does not train on stops gaining."""

from dataclasses import dataclass, replace

import lightning as L

from lightning_mia.errors import InputError
from lightning_mia.models.base import PRETEXT_SCORE, SpeechModel
from lightning_mia.monitoring.challenge_set import ChallengeSet
from lightning_mia.monitoring.onlooking import ask
from lightning_mia.probe.settings import ProbeSettings
from lightning_mia.training.snapshot import Snapshot

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
