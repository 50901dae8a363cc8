"""What the training task gives beyond its mean score, as signals to be compared with shadow models (grey-box)."""

from typing import Literal

import pandas as pd

from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

PARTS = ("early", "middle", "late")
SPANS = ("short_spans", "long_spans")


class TaskScore(ScalarSignal):
    """Another score of the training task, such as that of a model that was fine-tuned by CTC.

    Args:
        score: its name among the signals.
    """

    access = "grey-box"

    def __init__(self, score: str = "ctc_score") -> None:
        self.score = score
        self.needs_signal = score

    @property
    def name(self) -> str:
        """That of the score."""
        return self.score

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column, the mean over draws."""
        return signals.task_score(self.score).to_frame(self.score)


class MaskByMask(ScalarSignal):
    """The pretext score of every mask, judged jointly: with their covariance, a mask that tells more weighs more."""

    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    @property
    def name(self) -> str:
        """`mask_by_mask`."""
        return "mask_by_mask"

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column a mask."""
        return signals.scalars.filter(regex=f"^{PRETEXT_SCORE}_mask\\d+$")


class PretextDetail(ScalarSignal):
    """The pretext score by where frames are hidden, or by how many in a row; judged jointly.

    Args:
        by: `parts`, the early, middle and late third of the frames; or `spans`, shorter and longer than in training.
    """

    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    def __init__(self, by: Literal["parts", "spans"] = "parts") -> None:
        self.by = by

    @property
    def name(self) -> str:
        """`pretext_by_parts` or `pretext_by_spans`."""
        return f"pretext_by_{self.by}"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Details."""
        return (PretextDetails(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Three columns, or two."""
        return signals.scalars[[f"pretext_details_{kind}" for kind in (PARTS if self.by == "parts" else SPANS)]]


class PerturbedLoss(ScalarSignal):
    """By how much the pretext score changes when the recording is changed a little; judged jointly.

    Where a model has learned a recording by heart, the score is a peak that a small change steps down from; so the
    local curvature of the loss tells members from others whatever the loss itself is.

    Args:
        views: `noise`, `shift`, `band`, or several.
    """

    access = "grey-box"
    two_sided = True
    needs_signal = PRETEXT_SCORE

    def __init__(self, views: tuple[str, ...] = ("noise",)) -> None:
        known = {view.name for view in PerturbedTask().views}
        if not views or set(views) - known:
            raise InputError(f"views of PerturbedLoss are {list(views)}: give some of {', '.join(sorted(known))}")
        self.views = tuple(views)

    @property
    def name(self) -> str:
        """`perturbed_loss`, with the views where they are not noise alone."""
        return "_".join(["perturbed_loss", *(self.views if self.views != ("noise",) else ())])

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Perturbations."""
        return (PerturbedTask(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column a view."""
        return signals.scalars[[f"perturbed_{PRETEXT_SCORE}_{view}" for view in self.views]]
