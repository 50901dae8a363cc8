"""Signals from the training task beyond the pretext score."""

from typing import Literal

import pandas as pd

from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.perturbed_pretext import PerturbedTask
from lightning_mia.signals.pretext_by_mask import PretextDetails
from lightning_mia.signals.relearning import DEFAULT_RELEARNING, Relearning
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

PARTS = ("early", "middle", "late")
SPANS = ("short_spans", "long_spans")


class TaskScore(ScalarSignal):
    """Another score of the training task, such as CTC.

    Args:
        score: name of the score among the signals.

    Example:
        >>> TaskScore("ctc_score").read(Signals(pd.DataFrame({"ctc_score": [0.5]}, index=["a"]), pooled=None))
           ctc_score
        a        0.5
    """

    access = "grey-box"

    def __init__(self, score: str = "ctc_score") -> None:
        self.score = score
        self.needs_signal = score

    @property
    def name(self) -> str:
        """Name of the score."""
        return self.score

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column, the mean over masks."""
        return signals.task_score(self.score).to_frame(self.score)


class MaskByMask(ScalarSignal):
    """Pretext score of each mask, jointly.

    Likelihood attacks weigh informative masks more, by the covariance of the scores.

    Example:
        >>> table = pd.DataFrame({"pretext_score_mask0": [1.0], "pretext_score_mask1": [2.0]}, index=["a"])
        >>> MaskByMask().read(Signals(table, pooled=None)).shape
        (1, 2)
    """

    base_name = "mask_by_mask"
    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column per mask."""
        return signals.scalars.filter(regex=f"^{PRETEXT_SCORE}_mask\\d+$")


class PretextDetail(ScalarSignal):
    """Pretext scores by position or length of spans, jointly.

    Args:
        by: `parts`, the early, middle and late third of the frames; or `spans`, shorter and longer than in training.

    Example:
        >>> PretextDetail("spans").name
        'pretext_by_spans'
    """

    base_name = "pretext_by"
    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    def __init__(self, by: Literal["parts", "spans"] = "parts") -> None:
        self.by = by

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`parts` or `spans`."""
        return (self.by,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Pretext scores by mask."""
        return (PretextDetails(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return three columns for parts, two for spans."""
        return signals.scalars[[f"pretext_details_{kind}" for kind in (PARTS if self.by == "parts" else SPANS)]]


class PerturbedLoss(ScalarSignal):
    """Change of the pretext score under small perturbations.

    The score peaks at a memorised recording, so perturbations lower it: the local curvature of the loss separates
    members from non-members regardless of the loss itself.

    Args:
        views: perturbations: `noise`, `shift`, `band`, or several.

    Example:
        >>> PerturbedLoss().name, PerturbedLoss(("noise", "shift")).name
        ('perturbed_loss', 'perturbed_loss_noise_shift')
    """

    base_name = "perturbed_loss"
    access = "grey-box"
    two_sided = True
    needs_signal = PRETEXT_SCORE

    def __init__(self, views: tuple[str, ...] = ("noise",)) -> None:
        available = {view.name for view in PerturbedTask().views}
        if not views or set(views) - available:
            raise InputError(f"views of PerturbedLoss are {list(views)}: give some of {', '.join(sorted(available))}")
        self.views = tuple(views)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The views, unless noise alone."""
        return self.views if self.views != ("noise",) else ()

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Perturbed pretext scores."""
        return (PerturbedTask(),)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column per view."""
        return signals.scalars[[f"perturbed_{PRETEXT_SCORE}_{view}" for view in self.views]]


class RelearnScore(ScalarSignal):
    """Score of the training task before and after further training, jointly.

    Likelihood attacks learn from the shadow models how to weigh the two.

    Args:
        relearning: how copies of the model are trained further.
        label: appended to the name, to distinguish other settings.

    Example:
        >>> signal = RelearnScore()
        >>> table = pd.DataFrame([[-0.5, 0.1]], ["a"], signal.relearning.columns)
        >>> signal.name, signal.read(Signals(table, pooled=None)).loc["a"].tolist()
        ('relearn', [-0.5, 0.1])
    """

    base_name = "relearn"
    access = "white-box"

    def __init__(self, relearning: Relearning = DEFAULT_RELEARNING, label: str = "") -> None:
        self.relearning, self.label = relearning, label

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The label."""
        return (self.label,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The further training."""
        return (self.relearning,)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return two columns, NaN for recordings that are no candidates."""
        return signals.scalars[self.relearning.columns]
