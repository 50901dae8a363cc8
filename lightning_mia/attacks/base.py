"""What an attack is: what it needs, one scoring function, a reference."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import pandas as pd

from lightning_mia.attacks.shadows import Shadows
from lightning_mia.probe.frames import Frames
from lightning_mia.probe.group import SignalGroup
from lightning_mia.probe.signals import Signals

if TYPE_CHECKING:
    from lightning_mia.attacks.fleet_matrix import FleetMatrix
    from lightning_mia.attacks.scalar_signal import ScalarSignal

Access = Literal["black-box", "open-weights", "grey-box"]


class AnswersWithFrames(Protocol):
    """The model as a source of hidden states; `FrameStream` is one."""

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        """Hidden states of these utterances at a layer, batch by batch."""
        ...


def _no_recordings() -> pd.DataFrame:
    return pd.DataFrame(columns=["id", "speaker"], dtype=object)


@dataclass(frozen=True)
class Evidence:
    """What an adversary holds when it judges the challenge set.

    Attributes:
        target: signals of the model under attack, of recordings of the challenge set and of auxiliary ones.
        challenge: the recordings that may be queried: columns `id`, `unit_id`, `speaker`. Membership is not
            among them.
        auxiliary: the adversary's own recordings: columns `id`, `speaker`; no model was trained on them.
        frames: the model under attack, for attacks that learn from its frames; may be asked about recordings of
            the challenge set and auxiliary ones.
        seed: of whatever an attack draws at random.
        shadows: the shadow models' signals, and who was IN for them; None without a fleet.
        last_matrix: what `fleet_matrix` made of it last, and of which signal.
    """

    target: Signals
    challenge: pd.DataFrame
    auxiliary: pd.DataFrame = field(default_factory=_no_recordings)
    frames: AnswersWithFrames | None = None
    seed: int = 0
    shadows: Shadows | None = None
    last_matrix: list["tuple[ScalarSignal, FleetMatrix]"] = field(
        default_factory=list, init=False, repr=False, compare=False
    )


class Attack(ABC):
    """Turns evidence into one score a unit, higher = more likely a member.

    A new attack is a subclass in a file of its own; its class path goes into the `attacks` list of a config.
    """

    access: Access  # of the class, or of what an instance was made with
    levels: ClassVar[tuple[str, ...]]
    two_sided: bool = False  # whether the sign of the effect is unknown beforehand
    reference: ClassVar[str]
    needs_signal: str = ""  # score of the training task that the model must have; empty: none
    needs_frames: ClassVar[bool] = False  # whether it asks `Evidence.frames`, and learns from auxiliary recordings
    needs_all_groups: ClassVar[bool] = True  # False: it goes without the groups that a model cannot answer
    least_shadows: int = 0  # with fewer it is left out; 0: it needs none
    learns: ClassVar[bool] = False  # whether it takes long, so that its scores are kept for the next start

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in the results; the plain one for the default options, with a suffix for others."""

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Groups of signals that it reads, beside those of every audit."""
        return ()

    @property
    def paper_protocol(self) -> bool:
        """Whether it is fitted on the very non-members that it judges; it is shown among the controls then."""
        return False

    @abstractmethod
    def score(self, evidence: Evidence) -> pd.Series:
        """Scores, float64, index = `unit_id`."""


def layer_suffix(layer: int) -> str:
    """What a layer other than the last adds to an attack's name.

    >>> layer_suffix(-1), layer_suffix(3)
    ('', '_layer3')
    """
    return "" if layer == -1 else f"_layer{layer}"
