"""A group of signals: one kind of question, with its answers in a file of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar

from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel


@dataclass(frozen=True)
class Measured:
    """What a group reads from a model's answers about one batch.

    Attributes:
        scalars: column → (batch,) numbers; the columns' names begin with the group's prefix.
        pooled: (batch, layers, dim), for the one group that keeps vectors; None for the others.
    """

    scalars: dict[str, Tensor]
    pooled: Tensor | None = None


class SignalGroup(ABC):
    """Asks a model one kind of question. A subclass is a frozen dataclass whose fields are its settings.

    What it says of an utterance depends on the utterance, on the model and on the settings alone: not on its
    neighbours in the batch, nor on padding. What is drawn at random comes from the utterance's id
    (`lightning_mia.signals.inputs.random_masks`), so that every model is asked the same.

    A probe is kept by the hash of the settings: a group of other settings, or one more group, asks again only
    what was not asked before.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised whenever the numbers change

    def fingerprint(self) -> dict[str, Any]:
        """The settings that change the signals."""
        settings: dict[str, Any] = asdict(self) if is_dataclass(self) and not isinstance(self, type) else {}
        return {"group": self.name, "version": self.version, **settings}

    @property
    def prefix(self) -> str:
        """What the names of its columns begin with; two groups of one run must not share it."""
        return self.name

    @property
    def queries(self) -> int:
        """Waveforms that a model is given for each recording."""
        return 1

    def can_ask(self, model: SpeechModel) -> bool:
        """Whether the model can answer."""
        return True

    def prepared(self, model: SpeechModel, auxiliary: Recordings, batch_seconds: float) -> SignalGroup:
        """The group with what it learns about this model from the adversary's own recordings, such as a head.

        Args:
            model: in evaluation mode, on the device that it answers on.
            auxiliary: recordings that were trained on by no model, as the adversary plays them; may be empty.
            batch_seconds: audio in one batch; must not change the result.
        """
        return self

    @abstractmethod
    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Ask about one batch, which is on the model's device."""
