"""Surrogate heads: a pretext loss for encoders without a head."""

from __future__ import annotations

import pandas as pd

from lightning_mia.attacks.base import Access, Attack, CannotRun, Evidence, unit_means
from lightning_mia.attacks.scalar_signals.base import ScalarSignal
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.surrogate_pretext import SurrogateHead
from lightning_mia.signals.table import Signals


class SurrogateHeadScore(ScalarSignal):
    """Score of surrogate heads, one number per layer.

    It measures how well a head fitted by the adversary predicts hidden spans.

    Args:
        head: how spans are hidden and what is predicted; its `filling` determines the access level.
        suffix: distinguishes attacks with different heads; null: the filling, unless it is the default one.

    Example:
        >>> SurrogateHeadScore().name, SurrogateHeadScore(SurrogateHead(filling=None)).name
        ('surrogate_head', 'surrogate_head_open')
    """

    base_name = "surrogate_head"

    def __init__(self, head: SurrogateHead | None = None, suffix: str | None = None) -> None:
        self.head = head or SurrogateHead()
        self.suffix = suffix
        self.access: Access = "open-weights" if self.head.filling is None else "black-box"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffix, or the filling unless it is the default one."""
        if self.suffix is not None:
            return (self.suffix,)
        default, filling = SurrogateHead().filling, self.head.filling
        if filling is None:
            return ("open",)
        return ("" if default is not None and filling.name == default.name else filling.name,)

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The head."""
        return (self.head,)

    def read(self, signals: Signals) -> pd.DataFrame:
        """Return one column per layer.

        Raises:
            CannotRun: no recordings to fit a head on, or an encoder that accepts no mask.
        """
        columns = [column for column in map(str, signals.scalars) if column.startswith(f"{self.head.prefix}_")]
        if not columns:
            mask = "an encoder with a training mask and " if self.head.filling is None else ""
            raise CannotRun(f"it needs {mask}2 or more auxiliary recordings to fit a head on")
        return signals.scalars[columns]


class SurrogateHeadAttack(Attack):
    """Loss attack with a surrogate head.

    Score: mean over layers of the head's score, and over a speaker's recordings at speaker level. No shadow models.

    Args:
        head: how spans are hidden and what is predicted.
        suffix: distinguishes attacks with different heads; null: the filling, unless it is the default one.

    Example:
        >>> from lightning_mia.attacks.runner.simulation import simulate_audit
        >>> head = SurrogateHead()
        >>> audit = simulate_audit(n_shadows=0, effect=2.0, columns=[f"{head.prefix}_layer1"])
        >>> audit.auroc(SurrogateHeadAttack(head).score(audit.evidence))
        0.72
    """

    levels = ("utterance", "speaker")
    reference = "Yeom et al. (2018), section 3.2, with a head fitted on auxiliary recordings"

    def __init__(self, head: SurrogateHead | None = None, suffix: str | None = None) -> None:
        self.signal = SurrogateHeadScore(head, suffix)
        self.access = self.signal.access

    @property
    def name(self) -> str:
        """Name of the signal."""
        return self.signal.name

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """The head."""
        return self.signal.groups

    def score(self, evidence: Evidence) -> pd.Series:
        """Return the mean score of every unit, higher = predicted better."""
        return unit_means(self.signal.read(evidence.target).mean(axis=1), evidence.challenge)
