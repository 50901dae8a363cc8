"""Base classes of attacks on one signal."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pandas as pd

from lightning_mia.attacks.base import Attack, Evidence, unit_means
from lightning_mia.attacks.scalar_signals.base import DEFAULT_SIGNAL, ScalarSignal
from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix, signal_matrix
from lightning_mia.signals.base import SignalGroup


class SignalAttack(Attack):
    """Base class of attacks on a signal.

    Access level and requirements are those of the signal.

    An unknown direction of the effect is learned from the shadow models, so scores are higher for members.

    Args:
        signal: signal to compare.
    """

    def __init__(self, signal: ScalarSignal = DEFAULT_SIGNAL) -> None:
        self.signal = signal
        self.access = signal.access
        self.needs_signal = signal.needs_signal

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The signal's name, empty for the pretext score."""
        return (self.signal.name,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Groups of the signal."""
        return self.signal.groups

    def score(
        self, evidence: Evidence, read_matrix: Callable[[Evidence, ScalarSignal], SignalMatrix] = signal_matrix
    ) -> pd.Series:
        """Score every challenge unit.

        Args:
            evidence: with shadow models.
            read_matrix: reader of the signal; a `MatrixReader` shares matrices between attacks.
        """
        matrix = read_matrix(evidence, self.signal)
        return pd.Series(self.compare(matrix), index=matrix.units, dtype=np.float64)

    def score_alone(self, evidence: Evidence) -> pd.Series:
        """Score every challenge unit by the signal itself, without comparison."""
        return unit_means(self.signal.read(evidence.target).mean(axis=1), evidence.challenge)

    @abstractmethod
    def compare(self, matrix: SignalMatrix) -> np.ndarray:
        """Score every unit, (n,) float64, higher for members."""


class OnlineOrOffline(SignalAttack):
    """Base class of attacks with an offline variant.

    Online attacks use shadow models that are IN and OUT for a unit, offline attacks only OUT ones.

    Args:
        signal: signal to compare.
        online: whether the shadow models that are IN for a unit are used.
    """

    min_shadows_online: ClassVar[int]
    min_shadows_offline: ClassVar[int]

    def __init__(self, signal: ScalarSignal = DEFAULT_SIGNAL, online: bool = True) -> None:
        super().__init__(signal)
        self.online = online
        self.min_shadows = self.min_shadows_online if online else self.min_shadows_offline

    @property
    def suffixes(self) -> tuple[str, ...]:
        """`offline` unless online, and the signal's name."""
        return "" if self.online else "offline", *super().suffixes
