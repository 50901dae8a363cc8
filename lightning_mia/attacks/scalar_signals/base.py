"""Base class of signals that attacks compare with shadow models."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pandas as pd

from lightning_mia.attacks.base import ACCESSES, Access, Named
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


class ScalarSignal(Named, ABC):
    """Base class of signals: one or several numbers per recording.

    Several numbers form a multivariate signal and are used jointly. Instances of a class with equal settings are equal.
    In the name of an attack, the signal comes last: `lira_surrogate_head`.

    Attributes:
        access: access to the model that the signal requires.
        two_sided: whether the sign of the effect is unknown a priori.
        needs_signal: score of the training task that the model must provide; empty: none.

    Example:
        >>> class BestMask(ScalarSignal):
        ...     base_name, access = "best_mask", "grey-box"
        ...     def read(self, signals):
        ...         return signals.scalars.max(axis=1).to_frame(self.name)
        >>> table = pd.DataFrame({"pretext_score_mask0": [1.0], "pretext_score_mask1": [2.0]}, index=["a"])
        >>> BestMask().read(Signals(table, pooled=None)).loc["a"].item()
        2.0
    """

    access: Access  # class or instance attribute
    two_sided: bool = False
    needs_signal: str = ""

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Signal groups to probe beyond those of every audit."""
        return ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    @abstractmethod
    def read(self, signals: Signals) -> pd.DataFrame:
        """Return (recordings, numbers) float64, index = utterance id."""


class PretextScore(ScalarSignal):
    """Mean pretext score over masks.

    Log-odds (TERA: −log L1), higher = solved better.

    Example:
        >>> table = pd.DataFrame({"pretext_score_mask0": [1.0], "pretext_score_mask1": [2.0]}, index=["a"])
        >>> PretextScore().read(Signals(table, pooled=None)).loc["a"].item()
        1.5
    """

    base_name = ""  # the default signal has no name
    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column, `pretext_score`."""
        return signals.pretext_score().to_frame(PRETEXT_SCORE)


DEFAULT_SIGNAL = PretextScore()


class JointSignal(ScalarSignal):
    """Several signals combined; likelihood attacks weigh them by their covariance.

    It requires the highest access of its signals.

    Args:
        signals: two or more.
        label: name of the combination.

    Example:
        >>> from lightning_mia.attacks.scalar_signals.hidden_states import FrameSimilarity
        >>> joint = JointSignal([PretextScore(), FrameSimilarity()], label="loss_and_similarity")
        >>> joint.name, joint.access, joint.two_sided
        ('loss_and_similarity', 'grey-box', True)
    """

    def __init__(self, signals: Sequence[ScalarSignal], label: str) -> None:
        if len(signals) < 2:
            raise InputError(f"The joint signal {label} has {len(signals)} signals: give 2 or more")
        if not label:
            raise InputError("A joint signal has no label: give it a name, which follows that of the attack")
        self.signals, self.label = list(signals), label
        self.access: Access = max((signal.access for signal in signals), key=ACCESSES.index)
        self.two_sided = any(signal.two_sided for signal in signals)
        # A model provides all scores of its training task or none, so requiring one of them suffices.
        self.needs_signal = next(filter(None, (signal.needs_signal for signal in signals)), "")

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Groups of all signals, without duplicates."""
        return tuple(dict.fromkeys(group for signal in self.signals for group in signal.groups))

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return the columns of all signals, without duplicates."""
        joined = pd.concat([signal.read(signals) for signal in self.signals], axis=1)
        return joined.loc[:, ~joined.columns.duplicated()]
