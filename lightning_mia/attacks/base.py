"""What an attack is: what it needs, one scoring function, a reference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.signals.table import Signals

if TYPE_CHECKING:
    from lightning_mia.attacks.scalar_signals.base import ScalarSignal
    from lightning_mia.attacks.shadow_models.signal_matrix import SignalMatrix


class CannotRun(Exception):  # noqa: N818 - nothing went wrong
    """What an attack needs is not there.

    The message is one line that goes on after "… was left out: " and says what is needed and what there is.
    It is raised before or while scoring, and never ends a run: the attack is missing from the results instead.
    """


@dataclass(frozen=True)
class ShadowModels:
    """Shadow models as the adversary has them: trained like the target, on sets that it knows.

    Attributes:
        signals: one a shadow model, each of the same recordings.
        members: index = recording, one bool column a shadow model, named `shadow_000`, …: whether the recording's
            unit is IN for it. The recordings are those of the challenge set, or, for a fleet that never saw a
            challenge unit, those of the pool that it was trained on.
        pool: recordings that the fleet was drawn from, where they are not the challenge set: columns `id`,
            `unit_id`, `speaker`; None where they are. The shadow models are OUT for every challenge unit then.
        keys: one a shadow model, what its answers depend on, as text; empty where scores are not to be kept.
    """

    signals: Sequence[Signals]
    members: pd.DataFrame
    pool: pd.DataFrame | None = None
    keys: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def pairs(self) -> np.ndarray:
        """(shadows,) int, the complementary pair that each belongs to: of a pair, every unit is IN exactly one."""
        return np.array([int(name.rsplit("_", 1)[1]) // 2 for name in self.members.columns])

    def take(self, keep: np.ndarray) -> ShadowModels:
        """Some of the shadow models: (shadows,) bool, or their places."""
        places: list[int] = (np.flatnonzero(keep) if keep.dtype == bool else keep).tolist()
        keys = [self.keys[place] for place in places] if self.keys else ()
        return ShadowModels([self.signals[place] for place in places], self.members.iloc[:, places], self.pool, keys)

    def without_pair_of(self, shadow: int) -> ShadowModels:
        """The others, when one of them (its place) stands in for the target.

        Its partner goes too: with an exactly balanced matrix the other columns would reveal the label that is asked
        for.
        """
        return self.take(self.pairs != self.pairs[shadow])


Access = Literal["black-box", "open-weights", "grey-box"]


class FrameAccess(Protocol):
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
        last_matrix: what `signal_matrix` made of it last, and of which signal.
    """

    target: Signals
    challenge: pd.DataFrame
    auxiliary: pd.DataFrame = field(default_factory=_no_recordings)
    frames: FrameAccess | None = None
    seed: int = 0
    shadows: ShadowModels | None = None
    last_matrix: list[tuple[ScalarSignal, SignalMatrix]] = field(
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
