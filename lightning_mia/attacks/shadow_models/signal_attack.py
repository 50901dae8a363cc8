"""What attacks have in common that compare one signal of the target with the same signal of shadow models."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence
from lightning_mia.attacks.scalar_signals.base import PretextScore, ScalarSignal
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix, signal_matrix
from lightning_mia.signals.base import SignalGroup


class SignalAttack(Attack):
    """An attack on whatever a signal reads: it has the signal's access level and needs.

    The shadow models tell which way the signal moves, so that a score is always higher for a member.

    Args:
        signal: what is read of every model.
    """

    stem: ClassVar[str]  # the name before that of the signal

    def __init__(self, signal: ScalarSignal = PretextScore()) -> None:
        self.signal = signal
        self.access = signal.access
        self.needs_signal = signal.needs_signal

    @property
    def variant(self) -> str:
        """What stands between the stem and the signal in the name, such as `_offline`."""
        return ""

    @property
    def name(self) -> str:
        """The stem, the variant, and the signal where it is not the pretext score: `lira_offline_surrogate_head`."""
        suffix = f"_{self.signal.name}" if self.signal.name else ""
        return f"{self.stem}{self.variant}{suffix}"

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Those of the signal."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Compare every unit's signal under the target with that under the shadow models."""
        matrix = signal_matrix(evidence, self.signal)
        return pd.Series(self.compare(matrix), index=matrix.units, dtype=np.float64)

    @abstractmethod
    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """(n,) float64, higher = more likely a member."""


class OnlineOrOffline(SignalAttack):
    """An attack that reads the shadow models that are IN and OUT for a unit (online), or OUT alone (offline).

    Args:
        signal: what is read of every model.
        online: whether the shadow models that are IN for a unit are read too.
    """

    least_online: ClassVar[int]
    least_offline: ClassVar[int]

    def __init__(self, signal: ScalarSignal = PretextScore(), online: bool = True) -> None:
        super().__init__(signal)
        self.online = online
        self.least_shadows = self.least_online if online else self.least_offline

    @property
    def variant(self) -> str:
        """`_offline`, or nothing."""
        return "" if self.online else "_offline"
