"""The surrogate head: a pretext loss for encoders that came without their pretext head."""

from __future__ import annotations

import pandas as pd

from lightning_mia.attacks.base import Access, Attack, CannotRun, Evidence
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.surrogate_head import SurrogateHead
from lightning_mia.signals.table import Signals


class SurrogateHeadScore(ScalarSignal):
    """How well a head that the adversary fitted itself guesses what was hidden, one number a layer.

    Args:
        head: how spans are hidden, and what is guessed of them; its `filling` decides the access level.
        suffix: what tells the attacks on this head from those on another; by default, how spans are hidden where it is
            not by the steady tone.
    """

    def __init__(self, head: SurrogateHead | None = None, suffix: str | None = None) -> None:
        self.head = head or SurrogateHead()
        self.suffix = suffix
        self.access: Access = "open-weights" if self.head.filling is None else "black-box"

    @property
    def name(self) -> str:
        """`surrogate_head`, with a suffix for other heads: `surrogate_head_open`, `surrogate_head_silence`."""
        return "_".join(filter(None, ["surrogate_head", self._own_suffix()]))

    def _own_suffix(self) -> str:
        if self.suffix is not None:
            return self.suffix
        usual, filling = SurrogateHead().filling, self.head.filling
        if filling is None:
            return "open"
        return "" if usual is not None and filling.name == usual.name else filling.name

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The head."""
        return (self.head,)

    def read(self, signals: Signals) -> pd.DataFrame:
        """One column a layer.

        Raises:
            CannotRun: there was nothing to fit a head on, or the encoder takes no mask.
        """
        columns = [column for column in map(str, signals.scalars) if column.startswith(f"{self.head.prefix}_")]
        if not columns:
            lacks = "an encoder with a training mask and " if self.head.filling is None else ""
            raise CannotRun(f"it needs {lacks}2 or more auxiliary recordings to fit a head on")
        return signals.scalars[columns]


class SurrogateHeadAttack(Attack):
    """How well the head guesses, alone: no shadow models. At speaker level, the mean over the speaker's recordings.

    Of several layers, the mean of their scores.

    Args:
        head: how spans are hidden, and what is guessed of them.
        suffix: as in `SurrogateHeadScore`.
    """

    levels = ("utterance", "speaker")
    reference = "Yeom et al. (2018), section 3.2, with a head fitted on auxiliary recordings"

    def __init__(self, head: SurrogateHead | None = None, suffix: str | None = None) -> None:
        self.signal = SurrogateHeadScore(head, suffix)
        self.access = self.signal.access

    @property
    def name(self) -> str:
        """That of the signal."""
        return self.signal.name

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The head."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Mean score of every unit, higher = guessed better."""
        scores = evidence.challenge["id"].map(self.signal.read(evidence.target).mean(axis=1))
        return scores.groupby(evidence.challenge["unit_id"].to_numpy(), sort=False).mean()
