"""Base class of attacks, and the evidence they score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, get_args

import numpy as np
import pandas as pd

from lightning_mia.evaluation.scores import Access
from lightning_mia.signals.base import SignalGroup
from lightning_mia.signals.runner.frames import Frames
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.errors import InputError

ACCESSES: tuple[Access, ...] = get_args(Access)  # each includes those before it


class CannotRun(InputError):  # noqa: N818 - nothing went wrong
    """Raised by an attack whose requirements are not met.

    The message completes "… was left out: " in one line: what the attack needs, and what the run has. The run
    continues without the attack.
    """


@dataclass(frozen=True)
class ShadowModels:
    """Shadow models: trained like the target, with known members.

    Attributes:
        signals: signals of each shadow model, for the same recordings.
        members: index = recording, one bool column per shadow model, `shadow_000`, …: whether the recording's unit is
            IN. Recordings of the challenge set, or of the pool.
        pool: recordings that the training sets were drawn from (columns `id`, `unit_id`, `speaker`), if not the
            challenge set; the shadow models are then OUT for every challenge unit. Without any recordings: they are
            reference models, of which no member is known.
        keys: hash of everything that determines the signals of each shadow model, for the cache of scores; empty: the
            cache ignores the shadow models.

    Example:
        >>> members = pd.DataFrame({"shadow_000": [True, False], "shadow_001": [False, True]}, index=["a", "b"])
        >>> signals = Signals(pd.DataFrame(index=["a", "b"]), np.zeros((2, 1, 4)))
        >>> shadows = ShadowModels([signals, signals], members)
        >>> len(shadows), shadows.pairs.tolist(), len(shadows.without_pair_of(0))
        (2, [0, 0], 0)
    """

    signals: Sequence[Signals]
    members: pd.DataFrame
    pool: pd.DataFrame | None = None
    keys: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def are_references(self) -> bool:
        """Whether they are reference models: OUT for all units, and no member known."""
        return self.pool is not None and self.pool.empty

    @property
    def pairs(self) -> np.ndarray:
        """Complementary pair of each shadow model, (shadows,) int.

        Every unit is IN for exactly one model of a pair.
        """
        if self.are_references:
            return np.arange(len(self))
        return np.array([int(name.rsplit("_", 1)[1]) // 2 for name in self.members.columns])

    def take(self, keep: np.ndarray) -> ShadowModels:
        """Select shadow models.

        Args:
            keep: (shadows,) bool, or (selected,) int positions.
        """
        positions: list[int] = (np.flatnonzero(keep) if keep.dtype == bool else keep).tolist()
        keys = [self.keys[k] for k in positions] if self.keys else ()
        return ShadowModels([self.signals[k] for k in positions], self.members.iloc[:, positions], self.pool, keys)

    def of_question(self, question: str) -> ShadowModels:
        """Keep the signals of one question; see `Signals.of_question`."""
        signals = [signals.of_question(question) for signals in self.signals]
        return ShadowModels(signals, self.members, self.pool, self.keys)

    def without_pair_of(self, shadow: int) -> ShadowModels:
        """Remove a shadow model and its partner.

        The removed model becomes the target. Its partner is trained on exactly the other units, so it would reveal the
        members.
        """
        return self.take(self.pairs != self.pairs[shadow])


class FrameAccess(Protocol):
    """Access to a model's hidden states, such as `FrameStream`."""

    def __call__(self, ids: Sequence[str], layer: int = -1) -> Iterator[Frames]:
        """Yield batches of these utterances' hidden states at a layer."""
        ...


def _no_recordings() -> pd.DataFrame:
    return pd.DataFrame(columns=["id", "speaker"], dtype=object)


@dataclass(frozen=True)
class Evidence:
    """Input of an attack: everything the adversary holds.

    Attributes:
        target: signals of the target, for challenge and auxiliary recordings.
        challenge: recordings to score: columns `id`, `unit_id`, `speaker`, without membership labels.
        auxiliary: the adversary's recordings: columns `id`, `speaker`; in no model's training set.
        frames: hidden states of the target, for challenge and auxiliary recordings; None: not available.
        seed: seed of the attack.
        shadows: shadow models; None: not available.

    Example:
        >>> scores = pd.DataFrame({"pretext_score_mask0": [2.0, 0.5]}, index=["a", "b"])
        >>> challenge = pd.DataFrame({"id": ["a", "b"], "unit_id": ["a", "b"], "speaker": ["s", "t"]})
        >>> evidence = Evidence(Signals(scores, np.zeros((2, 1, 4))), challenge)
        >>> evidence.target.has("pretext_score"), len(evidence.auxiliary)
        (True, 0)
    """

    target: Signals
    challenge: pd.DataFrame
    auxiliary: pd.DataFrame = field(default_factory=_no_recordings)
    frames: FrameAccess | None = None
    seed: int = 0
    shadows: ShadowModels | None = None


class Named:
    """Base class of objects named after their options."""

    base_name: ClassVar[str]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of the name; empty strings are dropped."""
        return ()

    @property
    def name(self) -> str:
        """Base name and suffixes, joined by underscores."""
        return "_".join(filter(None, (self.base_name, *self.suffixes)))


class Attack(Named, ABC):
    """Base class of membership inference attacks.

    `score` returns one number per unit, higher = more likely a member.

    A new attack is a subclass; list its class path under `attacks` in a config. Set `base_name`, which names it in the
    results, and override `suffixes` if it has options.

    Attributes:
        access: access to the target that the attack requires.
        levels: "utterance", "speaker" or both.
        two_sided: whether the sign of the effect is unknown a priori.
        reference: publication, with section or equation.
        needs_signal: score of the training task that the model must provide; empty: none.
        needs_frames: whether the attack reads `Evidence.frames`.
        needs_all_groups: whether the attack is skipped if the model lacks one of `groups`.
        min_shadows: minimum number of shadow models; 0: none.
        cache_scores: whether the scores are cached, for slow attacks; scores from frames always are.

    Example:
        >>> class FirstMask(Attack):
        ...     access, levels, reference, base_name = "grey-box", ("utterance",), "none", "first_mask"
        ...     def score(self, evidence):
        ...         return unit_means(evidence.target.scalars["pretext_score_mask0"], evidence.challenge)
        >>> FirstMask().name
        'first_mask'
    """

    access: Access  # class or instance attribute
    levels: tuple[str, ...]  # class or instance attribute
    two_sided: bool = False
    reference: ClassVar[str]
    needs_signal: str = ""
    needs_frames: bool = False
    needs_all_groups: ClassVar[bool] = True
    min_shadows: int = 0
    cache_scores: bool = False

    @property
    def groups(self) -> tuple[SignalGroup, ...]:
        """Signal groups to probe beyond those of every audit."""
        return ()

    @property
    def compared_groups(self) -> tuple[SignalGroup, ...]:
        """Those that the attack also reads from shadow models."""
        return self.groups if self.min_shadows else ()

    @property
    def paper_protocol(self) -> bool:
        """Whether the attack is fitted on challenge non-members.

        It is then reported among the controls.
        """
        return False

    @abstractmethod
    def score(self, evidence: Evidence) -> pd.Series:
        """Score every challenge unit: float64, index = `unit_id`."""


def layer_suffix(layer: int) -> str:
    """Return the suffix of a layer; empty for the last.

    >>> layer_suffix(-1), layer_suffix(3)
    ('', 'layer3')
    """
    return "" if layer == -1 else f"layer{layer}"


def unit_means(signal: pd.Series, challenge: pd.DataFrame) -> pd.Series:
    """Average a signal over the recordings of each unit.

    Args:
        signal: index = recording.
        challenge: columns `id`, `unit_id`.

    Returns:
        Index = unit, in order of first appearance.

    >>> challenge = pd.DataFrame({"id": ["a", "b", "c"], "unit_id": ["s", "s", "t"]})
    >>> unit_means(pd.Series({"a": 1.0, "b": 3.0, "c": 5.0}), challenge).to_dict()
    {'s': 2.0, 't': 5.0}
    """
    return challenge["id"].map(signal).groupby(challenge["unit_id"].to_numpy(), sort=False).mean()
