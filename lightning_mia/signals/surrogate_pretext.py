"""Surrogate heads: a pretext loss for encoders without pretext head.

The adversary hides spans of its own recordings and fits a head that predicts the hidden content from the encoder's
outputs there. The error of that head on a challenge recording is a pretext loss. Spans are hidden by the encoder's own
mask, if the caller may set it (open-weights), or by another sound in the waveform (black-box).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Annotated, Any

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.models.layers.features import SAMPLE_RATE
from lightning_mia.models.outputs import Encoded
from lightning_mia.signals.base import Measure, Measured, Resources, SignalGroup, Work
from lightning_mia.signals.inputs.random_masks import utterance_generator
from lightning_mia.signals.runner.loop import batches
from lightning_mia.signals.surrogate.fillings import Filling, SteadyTone, hide
from lightning_mia.signals.surrogate.linear_heads import FoldSums, with_constant
from lightning_mia.signals.surrogate.spans import hidden_spans
from lightning_mia.signals.surrogate.targets import FrameTargets, HiddenTarget, LogMelFrames
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.ranges import Layer, Range, Seed

DEFAULT_SPAN = 0.07  # seconds
MIN_RECORDINGS = 2  # to fit a head on one and evaluate it on the other


@dataclass(frozen=True)
class SurrogateHead(SignalGroup):
    """Error of a linear head on hidden spans.

    The head is fitted on auxiliary recordings.

    Columns `surrogate_head_<settings>_layer0` …, one for each of `layers`; none with fewer than 2 auxiliary recordings.
    Heads are cross-fitted: each of `folds` heads leaves out one part of the auxiliary recordings. The head that was not
    fitted on an auxiliary recording evaluates it; one of the heads, chosen at random, evaluates any other recording.
    Both kinds of recordings are thus treated the same.

    Use `LogMelFrames` for encoders that reconstruct frames, and `AdversarysClusters` for encoders that predict
    clusters. Some models normalise a recording by its mean and variance, which change less if fewer frames are hidden
    at a time.

    Args:
        filling: sound that replaces hidden spans; null: the encoder's own mask is set instead.
        target: prediction target of the head.
        span: length of a hidden span (seconds); null: that of the model's training mask, which black-box access does
            not reveal.
        every: one span in `every` is hidden at a time; `every` passes hide every frame once.
        rounds: number of times that every frame is hidden.
        layers: layers on whose outputs a head is fitted, one head each; negative from the end.
        folds: number of cross-fitted heads.
        seed: seed of the spans and the sounds.

    Example:
        >>> head = SurrogateHead(every=6, rounds=2)
        >>> head.queries, head.prefix.startswith("surrogate_head_")
        (12, True)
    """

    name = "surrogate_head"

    filling: Filling | None = field(default_factory=SteadyTone)
    target: HiddenTarget = field(default_factory=LogMelFrames)
    span: Annotated[float, Range(0.001, 60)] | None = DEFAULT_SPAN
    every: Annotated[int, Range(2, 10_000)] = 6
    rounds: Annotated[int, Range(1, 10_000)] = 1
    layers: tuple[Layer, ...] = (-1,)
    folds: Annotated[int, Range(2, 1_000)] = 5
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        if not self.layers:
            raise InputError("layers of SurrogateHead is empty: give one or more, such as [-1]")

    def fingerprint(self) -> dict[str, Any]:
        """Return all settings, with the names of filling and target."""
        settings = {name: getattr(self, name) for name in self.__dataclass_fields__}
        filling = None if self.filling is None else {"filling": self.filling.name, **asdict(self.filling)}
        return {
            "group": self.name,
            "version": self.version,
            **settings,
            "filling": filling,
            "target": self.target.fingerprint(),
        }

    @property
    def prefix(self) -> str:
        """Common prefix of the column names, different for different settings."""
        return f"{self.name}_{hash_of(self.fingerprint())[:8]}"

    @property
    def queries(self) -> int:
        """Passes that hide every frame once, times the rounds."""
        return self.every * self.rounds

    def supports(self, model: SpeechModel) -> bool:
        """Whether spans can be hidden in the model's input.

        With a filling always; with the encoder's own mask, if it has one.
        """
        return self.filling is not None or model.mask_span is not None

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count the passes of auxiliary recordings too; none without them."""
        if len(resources.auxiliary) < MIN_RECORDINGS:
            return Work(0.0, 0.0)
        seconds = [float(part.durations.sum()) for part in (resources.auxiliary, recordings)]
        return Work(*(self._passes(model) * part for part in seconds))

    def _passes(self, model: SpeechModel) -> float:
        return self.queries * (model.masked_pass if self.filling is None else 1.0)

    def prepare(self, model: SpeechModel, resources: Resources) -> Measure:
        """Fit the heads, one per layer and fold."""
        auxiliary, batch_seconds = resources.auxiliary, resources.batch_seconds
        if len(auxiliary) < MIN_RECORDINGS:
            return _no_columns
        numbers = {name: number for number, name in enumerate(sorted(auxiliary.ids))}
        n_folds = min(self.folds, len(numbers))
        folds = {name: number % n_folds for name, number in numbers.items()}
        targets = self.target.prepare(batches(auxiliary, batch_seconds, model.device))
        passes = HiddenSpanPasses(self, targets, FrameGrid.from_model(model), folds, n_folds)
        sums: list[FoldSums] = []
        with torch.no_grad():
            for batch in batches(auxiliary, batch_seconds, model.device):
                fold = passes.fold(batch.ids).to(model.device)
                for layers, truth, scored in passes(model, batch):
                    rows, _ = scored.nonzero(as_tuple=True)
                    for i, hidden in enumerate(layers):
                        if len(sums) <= i:
                            sums.append(FoldSums(n_folds, hidden.shape[2], truth.shape[2], device=model.device))
                        sums[i].add(fold[rows], hidden[scored], truth[scored])
                resources.progress.advance(self._passes(model) * float(batch.lengths.sum()) / SAMPLE_RATE)
        weights = [self.target.fit(*layer_sums.leave_one_out()) for layer_sums in sums]
        return partial(_measure, passes=passes, weights=weights)


@dataclass(frozen=True)
class FrameGrid:
    """Position of an encoder's frames in the waveform.

    Attributes:
        stride: hop between frames (samples).
        field: receptive field of a frame (samples).
    """

    stride: int
    field: int

    @classmethod
    def from_model(cls, model: SpeechModel) -> FrameGrid:
        """Infer the grid from the frame counts of many lengths."""
        start = SAMPLE_RATE
        counts = model.frame_lengths(torch.arange(start, start + 2 * SAMPLE_RATE)).tolist()
        steps = [start + i for i in range(1, len(counts)) if counts[i] > counts[i - 1]]  # lengths with a new frame
        stride = round((steps[-1] - steps[0]) / (counts[-1] - counts[0] - 1)) if len(steps) > 1 else SAMPLE_RATE
        count = counts[steps[0] - start] if steps else counts[0]
        return cls(stride, max(steps[0] - (count - 1) * stride if steps else stride, stride))


@dataclass(frozen=True)
class HiddenSpanPasses:
    """Passes of a model over recordings with hidden spans.

    Attributes:
        settings: settings of the group.
        targets: prediction targets.
        grid: grid of the model's frames.
        folds: fold of every auxiliary recording.
        n_folds: number of folds.
    """

    settings: SurrogateHead
    targets: FrameTargets
    grid: FrameGrid
    folds: dict[str, int]
    n_folds: int

    def fold(self, ids: Sequence[str]) -> Tensor:
        """Choose the head that evaluates each recording, (len(ids),) int64."""
        seed = self.settings.seed
        return torch.tensor(
            [
                self.folds[name]
                if name in self.folds
                else int(utterance_generator(name, 0, seed, "fold/").integers(self.n_folds))
                for name in ids
            ]
        )

    def __call__(self, model: SpeechModel, batch: Batch) -> Iterator[tuple[list[Tensor], Tensor, Tensor]]:
        """Yield layers, targets and hidden frames of every draw.

        Shapes: (batch, frames, dim) each, (batch, frames, numbers) and (batch, frames) bool.
        """
        settings, lengths = self.settings, batch.lengths
        frames = model.frame_lengths(lengths)
        truth = self.targets(batch.waveforms, lengths, int(frames.max()), self.grid.stride)
        span = self._frames_per_span(model)
        masks = [
            hidden_spans(batch.ids, frames.tolist(), span, settings.every, draw, settings.seed).to(lengths.device)
            for draw in range(settings.every * settings.rounds)
        ]
        for encoded, mask in zip(self._encoded(model, batch, masks), masks, strict=True):
            yield [encoded.hidden[layer] for layer in settings.layers], truth, mask

    def _encoded(self, model: SpeechModel, batch: Batch, masks: Sequence[Tensor]) -> Iterator[Encoded]:
        filling, seed = self.settings.filling, self.settings.seed
        if filling is None:
            return model.encode_under(batch.waveforms, batch.lengths, masks)
        return (
            model.encode(hide(batch, mask, self.grid.stride, self.grid.field, filling, draw, seed), batch.lengths)
            for draw, mask in enumerate(masks)
        )

    def _frames_per_span(self, model: SpeechModel) -> int:
        if self.settings.span is None and model.mask_span:
            return model.mask_span.length
        seconds = DEFAULT_SPAN if self.settings.span is None else self.settings.span
        return max(1, round(seconds * SAMPLE_RATE / self.grid.stride))


def _measure(model: SpeechModel, batch: Batch, passes: HiddenSpanPasses, weights: Sequence[Tensor]) -> Measured:
    """Score the heads' predictions on the hidden frames.

    Args:
        model: the model that the heads were fitted for.
        batch: recordings.
        passes: hidden spans and targets.
        weights: (folds, dim + 1, numbers) float64, one for each layer.
    """
    settings, fold = passes.settings, passes.fold(batch.ids)
    heads = [layer_weights.to(batch.waveforms.device)[fold] for layer_weights in weights]  # (batch, dim + 1, numbers)
    total = torch.zeros(len(heads), len(batch.ids), dtype=torch.float64, device=batch.waveforms.device)
    count = torch.zeros_like(total[0])
    for layers, truth, scored in passes(model, batch):
        count += scored.sum(dim=1)
        for i, (hidden, head) in enumerate(zip(layers, heads, strict=True)):
            errors = settings.target.errors(with_constant(hidden) @ head.to(hidden.dtype), truth)
            total[i] += errors.masked_fill(~scored, 0.0).sum(dim=1)
    return Measured({f"{settings.prefix}_layer{i}": settings.target.score(total[i] / count) for i in range(len(total))})


def _no_columns(model: SpeechModel, batch: Batch) -> Measured:
    """Return no signals, for lack of auxiliary recordings."""
    return Measured({})
