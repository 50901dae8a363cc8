"""Base class of signal groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.table import Signals
from lightning_mia.utilities.progress_bar import Progress
from lightning_mia.utilities.ranges import check_ranges


@dataclass(frozen=True)
class Measured:
    """Signals of one batch.

    Attributes:
        scalars: column → (batch,) numbers; column names begin with the group's prefix.
        pooled: (batch, layers, dim) mean-pooled hidden states; only `EncoderAnswers` has them.

    Example:
        >>> import torch
        >>> measured = Measured({"loudness_rms": torch.tensor([0.1, 0.2])})
        >>> list(measured.scalars), measured.pooled
        (['loudness_rms'], None)
    """

    scalars: dict[str, Tensor]
    pooled: Tensor | None = None


Measure = Callable[[SpeechModel, Batch], Measured]
"""Measures one batch, which is on the model's device."""


@runtime_checkable
class HasNotes(Protocol):
    """A measuring function with sentences for the report."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the report."""
        ...


class TrainFurther(Protocol):
    """Trains copies of a model further by its own task."""

    def __call__(
        self,
        model: SpeechModel,
        ids: Sequence[str],
        *,
        name: str,
        epochs: int,
        learning_rate: float,
        seed: int,
        head_only: bool = False,
    ) -> SpeechModel | None:
        """Train a copy, which starts with a fresh optimizer.

        Args:
            model: the model; it is not changed.
            ids: recordings to train on.
            name: name of the training, unique for this model.
            epochs: number of epochs.
            learning_rate: peak learning rate.
            seed: seed of masks, dropout and the order of batches.
            head_only: fit targets and head of the pretext task, on the unchanged encoder.

        Returns:
            The trained copy in evaluation mode on the model's device; None if its training diverged.
        """
        ...


@dataclass(frozen=True)
class Resources:
    """What the adversary has besides the model.

    Attributes:
        auxiliary: the adversary's own recordings, in no model's training set; may be empty.
        batch_seconds: audio in one batch (seconds); must not change the result.
        candidates: question → ids of the recordings whose membership is in question, without labels; see
            `Split.candidates`.
        train_further: trains copies of the model further; None: not available.
        progress: takes the work of `SignalGroup.prepare`.
        n_masks: masks of the pretext scores that every audit measures.
        mask_seed: seed of these masks.
        answers: signals that every audit measures, of this model and of all queried recordings; None: not yet measured.
    """

    auxiliary: Recordings
    batch_seconds: float = 60.0
    candidates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    train_further: TrainFurther | None = None
    progress: Progress = field(default_factory=Progress)
    n_masks: int = 16
    mask_seed: int = 0
    answers: Signals | None = None

    def seconds(self, ids: Sequence[str]) -> float:
        """Return the audio of recordings (seconds)."""
        return float(self.auxiliary.take(ids).durations.sum())


@dataclass(frozen=True)
class Work:
    """Expected work of a signal group on one model, for progress bars.

    In seconds of audio times passes of the model.

    Attributes:
        preparing: work of `SignalGroup.prepare`.
        measuring: work on the recordings.

    Example:
        >>> Work(preparing=600.0, measuring=60.0).total
        660.0
    """

    preparing: float
    measuring: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.preparing + self.measuring


MASK_COST = 0.6
"""Cost of a mask of a pretext task, in passes; what comes before the mask runs once (measured: 0.4 to 0.8)."""


def task_passes(model: SpeechModel, n_masks: int) -> float:
    """Return the cost of `SpeechModel.task_scores`, in passes.

    Args:
        model: the model.
        n_masks: masks under which a pretext task is scored.
    """
    has_masks = model.has_pretext or model.needs_targets  # which it will have
    return int(model.uses_transcripts) + MASK_COST * n_masks * has_masks


class SignalGroup:
    """Base class of signals that are measured and cached together.

    A subclass is a frozen dataclass whose fields are its settings, and overrides `measure`. If it first has to fit
    something on the adversary's own recordings, such as a head, it overrides `prepare` instead.

    Signals of a recording depend on the recording, the model and the settings alone: not on the other recordings in
    the batch, nor on padding. Only a group with `trains_further` depends on the list of candidates, too. Random numbers
    derive from the recording's id (`lightning_mia.signals.inputs.random_masks`), so that every model gets the same
    inputs.

    Signals are cached by the hash of the settings. Adding a group, or changing one, leaves the others in the cache.

    Example:
        >>> from lightning_mia.corpora.loading.batch import collate
        >>> from lightning_mia.models import TERA
        >>> @dataclass(frozen=True)
        ... class Norm(SignalGroup):
        ...     name = "norm"
        ...
        ...     def measure(self, model, batch):
        ...         hidden = model.encode(batch.waveforms, batch.lengths).hidden[-1]
        ...         return Measured({"norm_mean": hidden.norm(dim=2).mean(dim=1)})
        >>> import numpy as np
        >>> model = TERA(dim=16, n_heads=2, feedforward_dim=32).eval()
        >>> Norm().measure(model, collate([("a", np.ones(1600, np.float32), "")])).scalars["norm_mean"].shape
        torch.Size([1])
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised whenever the numbers change, so that cached signals are not reused
    requires: ClassVar[str] = ""  # what it takes besides an encoder, for messages
    trains_further: ClassVar[bool] = False  # whether it uses `Resources.candidates` and `Resources.train_further`

    def __post_init__(self) -> None:
        """Check the ranges of the fields' types.

        Raises:
            InputError: a number is out of range.
        """
        check_ranges(type(self), vars(self), f"{type(self).__name__}.")

    def fingerprint(self) -> dict[str, Any]:
        """Return the settings that change the signals."""
        settings: dict[str, Any] = asdict(self) if is_dataclass(self) and not isinstance(self, type) else {}
        return {"group": self.name, "version": self.version, **settings}

    @property
    def lack(self) -> str:
        """Clause about a model that cannot provide the signals."""
        clause = f"the signals of {self.name.replace('_', ' ')}, which this model cannot provide"
        return f"{clause}: they take {self.requires}" if self.requires else clause

    @property
    def prefix(self) -> str:
        """Common prefix of the column names, unique in a run."""
        return self.name

    @property
    def queries(self) -> int:
        """Waveforms passed through the model for each recording."""
        return 1

    def queries_with(self, n_masks: int) -> int:
        """Count the queries in an audit.

        Args:
            n_masks: masks of the audit's pretext scores.
        """
        return self.queries

    def supports(self, model: SpeechModel) -> bool:
        """Whether the signals are defined for a model."""
        return True

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Estimate the work of measuring recordings.

        Args:
            model: the model.
            recordings: recordings to measure.
            resources: what the adversary has besides the model.
        """
        return Work(0.0, self.queries * float(recordings.durations.sum()))

    def prepare(self, model: SpeechModel, resources: Resources) -> Measure:
        """Fit the group to a model; return its measuring function.

        Args:
            model: in evaluation mode, on its device.
            resources: what the adversary has besides the model.
        """
        return self.measure

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Measure one batch, which is on the model's device."""
        raise NotImplementedError(f"{type(self).__name__} overrides neither measure nor prepare")
