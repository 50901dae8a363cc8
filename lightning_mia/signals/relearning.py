"""Score of the training task before and after further training on the candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measure, Measured, Resources, SignalGroup, Work, task_passes
from lightning_mia.signals.inputs.random_masks import draw_masks_and_noise
from lightning_mia.signals.safe_rates import N_TRIALS, HeldOut, largest_harmless_rate, train_safely
from lightning_mia.signals.table import of_question
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.ranges import Count, CountOrNone, Positive, Rate, Seed, Size, check_fields

MIN_CANDIDATES = 20
MIN_AUXILIARY = 40  # half of them are held out
HEAD_RATE = 1e-3  # learning rate of a new head
MIN_HELD_OUT, MAX_HELD_OUT = 20, 100  # auxiliary recordings that are scored after further training
PASSES_PER_STEP = 3  # forward, and backward at the cost of two


@dataclass(frozen=True)
class Relearning(SignalGroup):
    """Score of the training task before and after further training (white-box).

    Copies of the model are trained further, by its own task, on the candidates: the recordings whose membership is in
    question, without labels. What the model was trained on has little left to gain.

    Columns, for each question of the split: `relearning_<hash>_before`, the score of the training task under the model,
    and `relearning_<hash>_after`, the mean of its scores under the copies, with the same masks and noise. Auxiliary
    recordings have them only if the copies are trained on them.

    Args:
        n_copies: copies, each with its own masks, dropout and order of batches.
        epochs: epochs of further training.
        rate: peak learning rate, as a multiple of the model's own.
        learning_rate: peak learning rate; null: `rate` times the model's own or, if the model was trained elsewhere,
            the largest at which the score of held-out auxiliary recordings hardly falls.
        halves: train the copies in pairs, on complementary random halves of the candidates, so that a recording is
            scored by one copy that was trained on it and one that was not; otherwise each copy on all candidates.
        fill_to: with fewer candidates, train on auxiliary recordings as well, up to this total.
        with_auxiliary: train on all auxiliary recordings as well, so that they are scored too.
        n_masks: masks over which scores are averaged.
        head_epochs: for an encoder without heads, epochs in which targets and head are first fitted on the auxiliary
            recordings, on the unchanged encoder; 0: such a model is left out.
        seed: seed of the further training.
        mask_seed: seed of the masks.

    Example:
        >>> Relearning(n_copies=2, epochs=4, n_masks=8).queries  # 2 × 4 × 3 passes in training, then 3 × 8 masks
        48
    """

    name = "relearning"
    requires = (
        f"the heads of the training task (or Relearning.head_epochs), {MIN_CANDIDATES} or more recordings and, for a "
        f"model trained elsewhere, {MIN_AUXILIARY} or more auxiliary recordings (or Relearning.learning_rate)"
    )
    trains_further = True

    n_copies: Count = 2
    epochs: Count = 3
    rate: Positive = 1.0
    learning_rate: Rate | None = None
    halves: bool = False
    fill_to: Size = 240
    with_auxiliary: bool = False
    n_masks: Count = 16
    head_epochs: CountOrNone = 0
    seed: Seed = 0
    mask_seed: Seed = 0

    def __post_init__(self) -> None:
        """Validate the settings."""
        check_fields(self, "Relearning.")
        if self.halves and self.n_copies % 2:
            raise InputError(f"Relearning.n_copies is {self.n_copies}: halves need an even number")

    @property
    def prefix(self) -> str:
        """Common prefix of the column names, different for different settings."""
        return f"{self.name}_{hash_of(self.fingerprint())[:8]}"

    @property
    def columns(self) -> list[str]:
        """Names of the scores before and after, among the signals of a question."""
        return [f"{self.prefix}_before", f"{self.prefix}_after"]

    @property
    def queries(self) -> int:
        """Passes per recording, further training included."""
        steps = self.epochs * self.n_copies // (2 if self.halves else 1)
        return PASSES_PER_STEP * steps + (1 + self.n_copies) * self.n_masks

    def supports(self, model: SpeechModel) -> bool:
        """Whether the model has a task by which it can be trained further, or can get one."""
        has_task = model.uses_transcripts or model.has_pretext or (model.needs_targets and self.head_epochs > 0)
        return model.can_pretrain and has_task

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count further training, the search for its rate, and scores of held-out recordings."""
        if resources.train_further is None:
            return Work(0.0, 0.0)
        return _Training(self, model, resources).work()

    def prepare(self, model: SpeechModel, resources: Resources) -> Measure:
        """Train the copies for every question."""
        if resources.train_further is None:
            return _no_columns
        return Relearned.train(self, model, resources)

    def score(self, model: SpeechModel, batch: Batch) -> Tensor:
        """Score the training task, (batch,) float64, averaged over masks."""
        inputs = draw_masks_and_noise(model, batch, model.mask_span, self.n_masks, self.mask_seed)
        scores = model.task_scores(batch, *inputs)[model.task_score]
        return scores.mean(dim=0) if scores.dim() == 2 else scores


DEFAULT_RELEARNING = Relearning()


@dataclass(frozen=True)
class Relearned:
    """Copies of a model, trained on the candidates of each question.

    Attributes:
        settings: settings of the group.
        start: the model; if it had no head, with a fitted one.
        copies: question → candidates, and the copies that were trained on them.
        learning_rate: peak learning rate of the copies.
        notes: sentences for the report.
    """

    settings: Relearning
    start: SpeechModel
    copies: Mapping[str, tuple[frozenset[str], Sequence[SpeechModel]]]
    learning_rate: float
    notes: tuple[str, ...] = ()

    @classmethod
    def train(cls, settings: Relearning, model: SpeechModel, resources: Resources) -> Measure:
        """Train the copies; no signals if there is too little to train on."""
        training = _Training(settings, model, resources)
        questions = {name: training.ids(ids) for name, ids in resources.candidates.items()}
        questions = {name: ids for name, ids in questions.items() if len(ids) >= MIN_CANDIDATES}
        rate = training.first_rate(next(iter(questions.values()))) if questions and training.fit_head() else None
        if rate is None:
            return cls(settings, model, {}, 0.0, tuple(training.notes))
        groups: dict[tuple[str, ...], Sequence[SpeechModel]] = {}
        for ids in dict.fromkeys(questions.values()):
            groups[ids], rate = training.copies(ids, rate, f"relearning_{len(groups)}")
        copies = {
            name: (frozenset([*resources.candidates[name], *training.scored_auxiliary]), groups[ids])
            for name, ids in questions.items()
        }
        sizes = " and ".join(str(len(ids)) for ids in groups)
        training.notes.append(
            f"Relearning trained {settings.n_copies} copies of the model further, for {settings.epochs} epochs with a "
            f"peak learning rate of {rate:g}, on {'halves of ' if settings.halves else ''}{sizes} recordings."
        )
        return cls(settings, training.start, copies, rate, tuple(training.notes))

    def __call__(self, model: SpeechModel, batch: Batch) -> Measured:
        """Score the candidates in a batch; NaN for other recordings."""
        scalars: dict[str, Tensor] = {}
        for question, (candidates, copies) in self.copies.items():
            rows = [row for row, name in enumerate(batch.ids) if name in candidates]
            scores = batch.waveforms.new_full((2, len(batch.ids)), torch.nan, dtype=torch.float64)
            if rows:
                part = batch.take(rows)
                before, *after = [self.settings.score(m.to(part.waveforms.device), part) for m in (self.start, *copies)]
                scores[:, rows] = torch.stack([before, torch.stack(after).mean(dim=0)])
                if not torch.isfinite(scores[:, rows]).all():
                    raise InputError(
                        f"The score of the training task is not finite for {part.ids[0]} or others after further "
                        "training: lower Relearning.rate"
                    )
            names = [of_question(column, question) for column in self.settings.columns]
            scalars |= dict(zip(names, scores, strict=True))
        return Measured(scalars)


@dataclass
class _Training:
    """Further training of one model.

    Attributes:
        settings: settings of the group.
        model: the model.
        resources: candidates, auxiliary recordings, and the means to train.
        notes: sentences for the report.
        start: the model from which copies start: `fit_head` gives it a head, if it has none.
    """

    settings: Relearning
    model: SpeechModel
    resources: Resources
    notes: list[str] = field(default_factory=list)
    start: SpeechModel = field(init=False)

    def __post_init__(self) -> None:
        """Start from the model itself."""
        self.start = self.model

    @cached_property
    def auxiliary(self) -> list[str]:
        """Auxiliary recordings in random order."""
        ids = sorted(self.resources.auxiliary.ids)
        return [ids[i] for i in np.random.default_rng(self.settings.seed).permutation(len(ids))]

    @property
    def scored_auxiliary(self) -> list[str]:
        """Auxiliary recordings that every copy is trained on."""
        return self.auxiliary if self.settings.with_auxiliary else []

    def work(self) -> Work:
        """Estimate the work of all questions; see `SignalGroup.work`."""
        settings, seconds = self.settings, self.resources.seconds
        questions = {name: self.ids(ids) for name, ids in self.resources.candidates.items()}
        questions = {name: ids for name, ids in questions.items() if len(ids) >= MIN_CANDIDATES}
        fits_head = self.model.needs_targets
        if not questions or (len(self.auxiliary) < MIN_AUXILIARY and (fits_head or self._searches_rate)):
            return Work(0.0, 0.0)
        passes = task_passes(self.model, settings.n_masks)
        per_copy = self.model.step_passes * settings.epochs / (2 if settings.halves else 1)
        preparing = settings.head_epochs * seconds(self.auxiliary) * fits_head
        for number, ids in enumerate(dict.fromkeys(questions.values())):
            searched = number == 0 and self._searches_rate
            unseen = sorted(set(self.auxiliary) - set(ids))
            held_out = {
                "copies": unseen if len(unseen) >= MIN_HELD_OUT else [],
                "rate": self.auxiliary[len(self.auxiliary) // 2 :],
            }
            scored = {name: passes * seconds(part[:MAX_HELD_OUT]) for name, part in held_out.items()}
            trained = per_copy * seconds(ids)
            preparing += settings.n_copies * (trained + scored["copies"]) + scored["copies"]
            preparing += (N_TRIALS * (trained + scored["rate"]) + scored["rate"]) * searched
        evaluated = [seconds([*self.resources.candidates[name], *self.scored_auxiliary]) for name in questions]
        return Work(preparing, (1 + settings.n_copies) * passes * sum(evaluated))

    def ids(self, candidates: Sequence[str]) -> tuple[str, ...]:
        """Return the recordings to train on; empty if there are too few."""
        chosen = dict.fromkeys(candidates)
        extra = self.auxiliary if self.settings.with_auxiliary else self.auxiliary[: self._lacking(chosen)]
        return tuple(sorted(chosen | dict.fromkeys(extra)))

    def _lacking(self, candidates: Mapping[str, None]) -> int:
        return max(0, self.settings.fill_to - len(candidates))

    def fit_head(self) -> bool:
        """Fit a missing head on the auxiliary recordings; return whether there is one."""
        if not self.model.needs_targets:
            return True
        if len(self.auxiliary) < MIN_AUXILIARY:
            return False
        changes = {"epochs": self.settings.head_epochs, "head_only": True}
        fitted = self._copy(self.auxiliary, HEAD_RATE, self.settings.seed, "head", **changes)
        if fitted is None:
            return False
        self.start = fitted
        self.notes.append(
            "Relearning fitted a pretext head, which the model lacks, on "
            f"{len(self.auxiliary)} auxiliary recordings: targets that are not those of its training show less."
        )
        return True

    def first_rate(self, ids: Sequence[str]) -> float | None:
        """Return the learning rate; None if it cannot be known.

        For a model trained elsewhere, a copy is trained on a part of `ids`, as large as any copy's: fewer steps would
        harm more at the same rate. Half of the auxiliary recordings are held out.
        """
        if self.settings.learning_rate is not None:
            return self.settings.learning_rate
        if not self._searches_rate:
            return self.settings.rate * float(self.model.hparams["learning_rate"])
        if len(self.auxiliary) < MIN_AUXILIARY:
            return None
        held_out = self.auxiliary[len(self.auxiliary) // 2 :]
        trained_on = sorted(set(self._parts(ids)[0]) - set(held_out))
        rate = largest_harmless_rate(
            lambda rate: self._copy(trained_on, rate, self.settings.seed, f"rate_{rate:g}"),
            self._held_out(held_out),
            self.notes,
        )
        return rate and rate * self.settings.rate

    @property
    def _searches_rate(self) -> bool:
        """Whether the rate is unknown; models trained by this package have that of their configuration."""
        return self.settings.learning_rate is None and not self.model.origin.get("training")

    def _held_out(self, ids: Sequence[str]) -> HeldOut:
        recordings, passes = self.resources.auxiliary.take(ids[:MAX_HELD_OUT]), self.settings.n_masks
        work = task_passes(self.start, passes) * float(recordings.durations.sum())
        count = partial(self.resources.progress.advance, work)
        return HeldOut(self.start, recordings, self.settings.score, self.resources.batch_seconds, count)

    def copies(self, ids: Sequence[str], rate: float, name: str) -> tuple[list[SpeechModel], float]:
        """Train the copies, and return them with their learning rate; see `train_safely`."""
        unseen = sorted(set(self.auxiliary) - set(ids))

        def train(rate: float, attempt: int) -> Iterator[SpeechModel | None]:
            for number, part in enumerate(self._parts(ids)):
                yield self._copy(part, rate, self.settings.seed + 1 + number, f"{name}_{number}_{attempt}")

        return train_safely(train, rate, self._held_out(unseen) if len(unseen) >= MIN_HELD_OUT else None, self.notes)

    def _parts(self, ids: Sequence[str]) -> list[Sequence[str]]:
        """Return the training set of every copy."""
        if not self.settings.halves:
            return [ids] * self.settings.n_copies
        parts: list[Sequence[str]] = []
        for pair in range(self.settings.n_copies // 2):
            order = np.random.default_rng([self.settings.seed, pair]).permutation(len(ids))
            parts += [sorted(ids[i] for i in half) for half in np.array_split(order, 2)]
        return parts

    def _copy(self, ids: Sequence[str], rate: float, seed: int, name: str, **changes: Any) -> SpeechModel | None:
        assert self.resources.train_further is not None
        settings = {"name": name, "epochs": self.settings.epochs, "learning_rate": rate, "seed": seed, **changes}
        return self.resources.train_further(self.start, ids, **settings)


def _no_columns(model: SpeechModel, batch: Batch) -> Measured:
    """Return no signals, for lack of anything to train on."""
    return Measured({})
