"""What an attack is: what it needs, one scoring function, a reference."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd

from lightning_mia.probe.signals import Signals

Access = Literal["black-box", "open-weights", "grey-box"]


@dataclass(frozen=True)
class Evidence:
    """What an adversary holds when it judges the challenge set.

    Attributes:
        target: signals of the model under attack.
        challenge: the recordings that may be queried: columns `id`, `unit_id`, `speaker`. Membership is not
            among them.
    """

    target: Signals
    challenge: pd.DataFrame


class Attack(ABC):
    """Turns evidence into one score a unit, higher = more likely a member.

    A new attack is a subclass in a file of its own; its class path goes into the `attacks` list of a config.
    """

    access: ClassVar[Access]
    levels: ClassVar[tuple[str, ...]]
    two_sided: ClassVar[bool] = False  # whether the sign of the effect is unknown beforehand
    reference: ClassVar[str]

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in the results; the plain one for the default options, with a suffix for others."""

    @abstractmethod
    def score(self, evidence: Evidence) -> pd.Series:
        """Scores, float64, index = `unit_id`."""


def layer_suffix(layer: int) -> str:
    """What a layer other than the last adds to an attack's name.

    >>> layer_suffix(-1), layer_suffix(3)
    ('', '_layer3')
    """
    return "" if layer == -1 else f"_layer{layer}"
