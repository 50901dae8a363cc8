"""Stop training by leakage bound, or by held-out loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import lightning as L

from lightning_mia.audit.monitor.leakage import ChallengeSet, Leakage
from lightning_mia.audit.monitor.online_probe import probe_online
from lightning_mia.evaluation.results import has_interval
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.report.content.numbers import NO_INTERVAL
from lightning_mia.signals.settings import ProbeSettings
from lightning_mia.training.callbacks import Snapshot
from lightning_mia.utilities.errors import InputError

NO_AUXILIARY = (
    "Early stopping (patience) uses the pretext loss of the auxiliary recordings, but there are none: give "
    "data.design.n_auxiliary, or rows of the manifest with an empty member, or leave patience out"
)
HELD_OUT_LOSS = "held_out_loss"  # key in a snapshot


@dataclass(frozen=True)
class Bound:
    """Upper bound on the AUROC of every attack.

    Args:
        above: highest permitted AUROC; for a two-sided attack, also the highest permitted 1 − AUROC.
        by: quantity compared with it: the AUROC itself, or the upper end of its 95 % interval.
    """

    above: float
    by: Literal["estimate", "upper_bound"] = "estimate"

    def __post_init__(self) -> None:
        """Validate the bound."""
        if not 0.5 < self.above < 1:
            raise InputError(f"stop_above is {self.above}: give an AUROC between 0.5 (chance) and 1, such as 0.6")

    def exceeded_by(self, leakages: Sequence[Leakage]) -> Leakage | None:
        """Return the attack furthest above the bound, if any."""
        worst = max(leakages, key=lambda leakage: leakage.compared_auroc(self.by))
        return worst if worst.compared_auroc(self.by) > self.above else None

    def too_strict_message(self, worst: Leakage) -> str:
        """Explain that the bound is exceeded before the first step."""
        return (
            f"{self._figure(worst)} before the first step, above stop_above {self.above}: the challenge set "
            f"({worst.scores.n_members} members, {worst.scores.n_nonmembers} non-members) is too small for this bound; "
            "give more units, a higher bound, or fewer attacks"
        )

    def stop_message(self, worst: Leakage, epoch: int, kept: int) -> str:
        """Explain why training ends, and which model is kept."""
        return (
            f"The training was stopped by its bound on leakage (AUROC {self.above}): after epoch {epoch} "
            f"{self._figure(worst)}. The model is that of epoch {kept}, the last one measured below the bound."
        )

    def _figure(self, worst: Leakage) -> str:
        low, high = worst.interval
        interval = f"[{low:.3f}, {high:.3f}]" if has_interval(worst.interval) else NO_INTERVAL
        return f"{worst.name} had AUROC {worst.auroc:.3f} {interval}"


@dataclass(frozen=True)
class Patience:
    """Early stopping on held-out pretext loss.

    Args:
        measurements: measurements without a new lowest loss after which training ends.
    """

    measurements: int

    def __post_init__(self) -> None:
        """Validate the number of measurements."""
        if self.measurements < 1:
            raise InputError(f"patience is {self.measurements}: give 1 or more measurements")

    def improves(self, loss: float, best: Snapshot) -> bool:
        """Whether a loss is below that of the best snapshot."""
        return bool(loss < best[HELD_OUT_LOSS])

    def stop_message(self, loss: float, epoch: int, best: Snapshot, every_n_epochs: int, ends: bool) -> str:
        """Return the reason to stop and restore the snapshot.

        Empty: training continues.

        Args:
            loss: loss of the current measurement, not below that of the snapshot.
            epoch: epoch of the current measurement.
            best: snapshot at the lowest loss.
            every_n_epochs: epochs between two measurements.
            ends: whether training ends here anyway.
        """
        if not ends and epoch - best["epochs"] < self.measurements * every_n_epochs:
            return ""
        return (
            f"Early stopping: the pretext loss of the auxiliary recordings was lowest after epoch {best['epochs']} "
            f"({best[HELD_OUT_LOSS]:.3f}; {loss:.3f} after epoch {epoch}, where the training ended). The model is that "
            f"of epoch {best['epochs']}."
        )


def held_out_loss(model: SpeechModel, challenge: ChallengeSet, settings: ProbeSettings, trainer: L.Trainer) -> float:
    """Average the pretext loss of the auxiliary recordings.

    The loss is the negative log-odds (TERA: log L1).

    Raises:
        InputError: the model has no pretext task.
    """
    auxiliary = replace(challenge, recordings=challenge.auxiliary)
    signals = probe_online(model, [settings.encoder_outputs], auxiliary, settings, trainer)
    if not signals.has(PRETEXT_SCORE):
        raise InputError(f"patience needs a pretext loss, which {type(model).__name__} does not have: leave it out")
    return -float(signals.pretext_score().mean())
