"""One number a recording, as the raw material of attacks that compare models."""

from abc import ABC, abstractmethod

import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.models.base import PRETEXT_SCORE
from lightning_mia.probe.group import SignalGroup
from lightning_mia.probe.signals import Signals


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
