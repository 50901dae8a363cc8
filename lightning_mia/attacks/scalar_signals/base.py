"""Several signals judged as one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.models.outputs import PRETEXT_SCORE
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError


class ScalarSignal(ABC):
    """Reads one number a recording from a model's signals. A subclass is small; its settings are plain values.

    Two of one class with the same settings are equal: they read the same.
    """

    access: Access  # of the class, or of what an instance was made with
    two_sided: bool = False  # whether the sign of the effect is unknown beforehand
    needs_signal: str = ""  # score of the training task that the model must have; empty: none

    @property
    @abstractmethod
    def name(self) -> str:
        """Stands behind the attack's name: `lira_surrogate_head`; empty for the pretext score."""

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Groups of signals that it reads, beside those of every audit."""
        return ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    @abstractmethod
    def read(self, signals: Signals) -> pd.DataFrame:
        """(recordings, numbers) float64, index = utterance id: one column, or several that are judged jointly."""


class PretextScore(ScalarSignal):
    """The mean pretext score over masks: log-odds (TERA: −log L1), higher = solved better."""

    access = "grey-box"
    needs_signal = PRETEXT_SCORE

    @property
    def name(self) -> str:
        """Empty: it is the plain one."""
        return ""

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column, `pretext_score`."""
        return signals.pretext_score().to_frame(PRETEXT_SCORE)


ACCESSES: tuple[Access, ...] = ("black-box", "open-weights", "grey-box")  # each allows what those before it allow


class JointSignal(ScalarSignal):
    """Puts the numbers of several signals side by side; a likelihood attack weighs them by their covariance.

    Its access is the highest that one of them takes.

    Args:
        signals: two or more.
        label: its name.
    """

    def __init__(self, signals: Sequence[ScalarSignal], label: str) -> None:
        if len(signals) < 2:
            raise InputError(f"The joint signal {label} has {len(signals)} signals: give 2 or more")
        if not label:
            raise InputError("A joint signal has no label: give it a name, which stands behind the attack's")
        self.signals, self.label = list(signals), label
        self.access: Access = max((one.access for one in signals), key=ACCESSES.index)
        self.two_sided = any(one.two_sided for one in signals)
        # The scores of one training task come together: one that is there stands for all.
        self.needs_signal = next(filter(None, (one.needs_signal for one in signals)), "")

    @property
    def name(self) -> str:
        """The label."""
        return self.label

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Those of all signals, each once."""
        return tuple(dict.fromkeys(group for one in self.signals for group in one.groups))

    def read(self, signals: Signals) -> pd.DataFrame:
        """The columns of all signals; one that two of them read stands there once."""
        joined = pd.concat([one.read(signals) for one in self.signals], axis=1)
        return joined.loc[:, ~joined.columns.duplicated()]
