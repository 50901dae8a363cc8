"""Surrogate heads: the training task asked of an encoder that came without its pretext head.

The adversary hides spans of its own recordings, looks at the encoder's outputs there and fits a head that guesses from
them what was hidden. The error of that head on a challenge utterance is a pretext loss without the pretext head. Spans
are hidden by the encoder's own mask, where the caller may set it (open-weights), or by another sound in the waveform
(black-box).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.batch_sampler import LengthBatches, batches_for
from lightning_mia.corpora.loading.datasets import Recordings, loader
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.signals.base import Measured, SignalGroup
from lightning_mia.signals.inputs.random_masks import generator_of
from lightning_mia.signals.surrogate.fillings import Filling, SteadyTone, hide
from lightning_mia.signals.surrogate.linear_heads import FoldSums, with_constant
from lightning_mia.signals.surrogate.spans import hidden_spans
from lightning_mia.signals.surrogate.targets import HiddenTarget, LogMelFrames
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of

DEFAULT_SPAN = 0.07  # seconds
MIN_RECORDINGS = 2  # to fit a head on one and measure the other


@dataclass(frozen=True)
class FrameGrid:
    """Where an encoder's frames lie in the waveform.

    Attributes:
        stride: samples from one frame to the next.
        field: samples that a frame is made of.
    """

    stride: int
    field: int

    @classmethod
    def of(cls, model: SpeechModel) -> FrameGrid:
        """Read it off the number of frames that recordings of different lengths have."""
        start = SAMPLE_RATE
        counts = model.frame_lengths(torch.arange(start, start + 2 * SAMPLE_RATE)).tolist()
        steps = [start + place for place in range(1, len(counts)) if counts[place] > counts[place - 1]]
        stride = round((steps[-1] - steps[0]) / (counts[-1] - counts[0] - 1)) if len(steps) > 1 else SAMPLE_RATE
        frames_then = counts[steps[0] - start] if steps else counts[0]
        return cls(stride, max(steps[0] - (frames_then - 1) * stride if steps else stride, stride))


@dataclass(frozen=True)
class SurrogateHead(SignalGroup):
    """Error of a linear head, fitted on auxiliary recordings, on hidden spans of every recording.

    Columns: `surrogate_head_<settings>_layer0` …, one for each of `layers`; no column where there are fewer than 2
    auxiliary recordings. Every head is one of `folds`, each fitted without one part of the auxiliary recordings. An
    auxiliary recording is measured by the head that did not see it, any other by one of them, so that both are
    measured alike.

    Encoders that reconstruct frames tell `LogMelFrames` what they remember, those that guess clusters
    `AdversarysClusters`. The fewer frames are hidden at a time, the less a sound moves the mean and the variance by
    which some models normalise an utterance.

    Args:
        filling: what is played in the hidden spans; null: the encoder's own mask is set instead.
        target: what the head guesses.
        span: seconds of a hidden span; null: as in the model's training mask, which takes more than black-box access
            to know.
        every: one span in so many is hidden at a time; so many passes hide every frame once.
        rounds: times that every frame is hidden.
        layers: whose outputs a head is fitted on, one head each; negative from the end.
        folds: heads that the auxiliary recordings are divided among.
        seed: of the spans and the sounds.
    """

    name = "surrogate_head"

    filling: Filling | None = field(default_factory=SteadyTone)
    target: HiddenTarget = field(default_factory=LogMelFrames)
    span: float | None = DEFAULT_SPAN
    every: int = 6
    rounds: int = 1
    layers: tuple[int, ...] = (-1,)
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no question."""
        for name, least in (("every", 2), ("rounds", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} of SurrogateHead is {getattr(self, name)}: give {least} or more")
        if not self.layers:
            raise InputError("layers of SurrogateHead is empty: give one or more, such as [-1]")

    def fingerprint(self) -> dict[str, Any]:
        """All settings, with the names of filling and target."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        sound = None if self.filling is None else {"filling": self.filling.name, **asdict(self.filling)}
        return {
            "group": self.name,
            "version": self.version,
            **plain,
            "filling": sound,
            "target": self.target.fingerprint(),
        }

    @property
    def prefix(self) -> str:
        """What the names of its columns begin with: two groups of other settings share none."""
        return f"{self.name}_{hash_of(self.fingerprint())[:8]}"

    @property
    def queries(self) -> int:
        """Passes that hide every frame once, times the rounds."""
        return self.every * self.rounds

    def can_ask(self, model: SpeechModel) -> bool:
        """By a sound any model; by its mask one that has a training mask."""
        return self.filling is not None or model.mask_span is not None

    def frames_of_span(self, model: SpeechModel, stride: int) -> int:
        """Length of a span, in frames of the encoder."""
        if self.span is not None:
            return max(1, round(self.span * SAMPLE_RATE / stride))
        return model.mask_span.length if model.mask_span else max(1, round(DEFAULT_SPAN * SAMPLE_RATE / stride))

    def prepared(self, model: SpeechModel, auxiliary: Recordings, batch_seconds: float) -> SignalGroup:
        """Fit the heads."""
        if len(auxiliary) < MIN_RECORDINGS:
            return Unprepared(self)
        places = {name: place for place, name in enumerate(sorted(auxiliary.ids))}
        folds = min(self.folds, len(places))
        target = self.target.fitted(_batches(auxiliary, batch_seconds, model.device))
        asked = Questions(self, target, FrameGrid.of(model), {name: at % folds for name, at in places.items()}, folds)
        sums: list[FoldSums] = []
        with torch.no_grad():
            for batch in _batches(auxiliary, batch_seconds, model.device):
                fold = asked.fold(batch.ids).to(model.device)
                for hidden, truth, scored in asked.answers(model, batch):
                    rows, _ = scored.nonzero(as_tuple=True)
                    for layer, of_layer in enumerate(hidden):
                        if len(sums) <= layer:
                            size = (of_layer.shape[2], truth.shape[2])
                            sums.append(FoldSums(folds, *size, device=model.device))
                        sums[layer].add(fold[rows], of_layer[scored], truth[scored])
        weights = [target.fit(*one.without_each()) for one in sums]
        return FittedSurrogateHead(self, asked, weights)

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Only a prepared group can measure."""
        raise RuntimeError("A surrogate head is fitted first: call prepared()")


@dataclass(frozen=True)
class Unprepared(SignalGroup):
    """A surrogate head for which there is nothing to fit it on: it says nothing."""

    head: SurrogateHead

    name = "surrogate_head"

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """No columns."""
        return Measured({})


@dataclass(frozen=True)
class Questions:
    """The hidden spans, and what a model's answers there are compared with.

    Attributes:
        settings: of the group.
        target: what the head guesses, fitted.
        grid: of the model's frames.
        known: folds of the auxiliary recordings.
        folds: number of folds.
    """

    settings: SurrogateHead
    target: HiddenTarget
    grid: FrameGrid
    known: dict[str, int]
    folds: int

    def fold(self, ids: Sequence[str]) -> Tensor:
        """(len(ids),) int64: which head measures a recording."""
        seed = self.settings.seed
        return torch.tensor(
            [
                self.known[name]
                if name in self.known
                else int(generator_of(name, 0, seed, "fold/").integers(self.folds))
                for name in ids
            ]
        )

    def answers(self, model: SpeechModel, batch: Batch) -> Iterator[tuple[list[Tensor], Tensor, Tensor]]:
        """For every draw: the layers (batch, frames, dim), the truth (batch, frames, numbers), what is scored."""
        settings, lengths = self.settings, batch.lengths
        frames = model.frame_lengths(lengths)
        truth = self.target.of_frames(batch.waveforms, lengths, int(frames.max()), self.grid.stride)
        span = settings.frames_of_span(model, self.grid.stride)
        for draw in range(settings.every * settings.rounds):
            masks = hidden_spans(batch.ids, frames.tolist(), span, settings.every, draw, settings.seed)
            masks = masks.to(lengths.device)
            if settings.filling is None:
                encoded = model.encode(batch.waveforms, lengths, masks)
            else:
                filled = hide(batch, masks, self.grid.stride, self.grid.field, settings.filling, draw, settings.seed)
                encoded = model.encode(filled, lengths)
            yield [encoded.hidden[layer] for layer in settings.layers], truth, masks


@dataclass(frozen=True)
class FittedSurrogateHead(SignalGroup):
    """A surrogate head with its weights for one model.

    Attributes:
        head: the settings.
        questions: spans and targets.
        weights: of every layer (folds, dim + 1, numbers) float64.
    """

    head: SurrogateHead
    questions: Questions
    weights: Sequence[Tensor]

    name = "surrogate_head"

    def measure(self, model: SpeechModel, batch: Batch) -> Measured:
        """Score the heads' guesses, mean over the hidden frames of all draws."""
        target, fold = self.questions.target, self.questions.fold(batch.ids)
        heads = [of_layer.to(batch.waveforms.device)[fold] for of_layer in self.weights]  # (batch, dim + 1, numbers)
        wrong = torch.zeros(len(heads), len(batch.ids), dtype=torch.float64, device=batch.waveforms.device)
        count = torch.zeros_like(wrong[0])
        for hidden, truth, scored in self.questions.answers(model, batch):
            count += scored.sum(dim=1)
            for layer, (of_layer, head) in enumerate(zip(hidden, heads, strict=True)):
                errors = target.errors(with_constant(of_layer) @ head.to(of_layer.dtype), truth)
                wrong[layer] += errors.masked_fill(~scored, 0.0).sum(dim=1)
        return Measured(
            {f"{self.head.prefix}_layer{layer}": target.score(total / count) for layer, total in enumerate(wrong)}
        )


def _batches(recordings: Recordings, batch_seconds: float, device: torch.device) -> Iterator[Batch]:
    batches = LengthBatches(recordings.durations, batches_for(recordings.durations, batch_seconds))
    for batch in loader(recordings, batches, num_workers=0):
        yield batch._replace(waveforms=batch.waveforms.to(device), lengths=batch.lengths.to(device))
