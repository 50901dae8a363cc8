"""Several signals judged as one."""

from collections.abc import Sequence

import pandas as pd

from lightning_mia.attacks.base import Access
from lightning_mia.attacks.scalar_signal import ScalarSignal
from lightning_mia.errors import InputError
from lightning_mia.probe.group import SignalGroup
from lightning_mia.probe.signals import Signals

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
