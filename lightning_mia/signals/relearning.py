"""Score of the training task before and after further training on the candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Measure, Measured, Resources, SignalGroup, Work, task_passes
from lightning_mia.signals.inputs.random_masks import draw_masks_and_noise
from lightning_mia.signals.safe_rates import N_TRIALS, HeldOut, largest_harmless_rate, train_safely
from lightning_mia.signals.settings import MAX_MASKS
from lightning_mia.signals.table import of_question
from lightning_mia.utilities.errors import InputError
from lightning_mia.utilities.files import hash_of
from lightning_mia.utilities.ranges import Count, CountOrNone, Positive, Rate, Seed, Size, check_fields

MIN_CANDIDATES = 20
MIN_AUXILIARY = 40  # half of them are held out
HEAD_RATE = 1e-3  # learning rate of a new head
MIN_HELD_OUT, MAX_HELD_OUT = 20, 100  # auxiliary recordings that are scored after further training
PASSES_PER_STEP = 3  # forward, and backward at the cost of two
TRIAL_SECONDS = 240.0  # audio on which learning rates are tried; with less, the steps are too few to tell


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
        n_masks: masks over which scores are averaged; null: those of the pretext loss, which then is the score before.
        head_epochs: for an encoder without heads, epochs in which targets and head are first fitted on the auxiliary
            recordings, on the unchanged encoder; 0: such a model is left out.
        seed: seed of the further training.
        mask_seed: seed of the masks.

    Example:
        >>> Relearning(n_copies=2, epochs=4, n_masks=8).queries  # 2 × 4 × 3 passes in training, then 3 × 8 masks
        48
    """

    name = "relearning"
    version = 2  # learning rates are tried on a part of the recordings
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
    n_masks: Count | None = None
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
        """Passes per recording of 1 s, further training included."""
        return self.queries_with(MAX_MASKS)

    def queries_with(self, n_masks: int) -> int:
        """Count the passes per recording, further training included.

        Args:
            n_masks: masks of the audit's pretext scores, used unless `n_masks` is set.
        """
        steps = self.epochs * self.n_copies // (2 if self.halves else 1)
        return PASSES_PER_STEP * steps + (1 + self.n_copies) * (self.n_masks or n_masks)

    def supports(self, model: SpeechModel) -> bool:
        """Whether the model has a task by which it can be trained further, or can get one."""
        has_task = model.uses_transcripts or model.has_pretext or (model.needs_targets and self.head_epochs > 0)
        return model.can_pretrain and has_task

    def work(self, model: SpeechModel, recordings: Recordings, resources: Resources) -> Work:
        """Count training, the search for a rate, and scores."""
        if resources.train_further is None:
            return Work(0.0, 0.0)
        return _Training(self, model, resources).work()

    def prepare(self, model: SpeechModel, resources: Resources) -> Measure:
        """Train the copies for every question."""
        if resources.train_further is None:
            return _no_columns
        return Relearned.train(self, model, resources)

    def scoring(self, resources: Resources) -> Callable[[SpeechModel, Batch], Tensor]:
        """Return a function that scores the training task, averaged over masks, (batch,) float64."""
        return partial(_score, n_masks=self.n_masks or resources.n_masks, seed=self.mask_seed)

    def measured(self, model: SpeechModel, resources: Resources) -> pd.DataFrame | None:
        """Return the scores of a model under the same masks, if the audit has them, (recordings, masks)."""
        if resources.answers is None or not self.has_same_masks(resources):
            return None
        return resources.answers.draws(model.task_score)

    def has_same_masks(self, resources: Resources) -> bool:
        """Whether the masks are those of the pretext loss."""
        return self.n_masks in (None, resources.n_masks) and self.mask_seed == resources.mask_seed


def _score(model: SpeechModel, batch: Batch, n_masks: int, seed: int) -> Tensor:
    """Score the training task, (batch,) float64, averaged over masks."""
    inputs = draw_masks_and_noise(model, batch, model.mask_span, n_masks, seed)
    scores = model.task_scores(batch, *inputs)[model.task_score]
    return scores.mean(dim=0) if scores.dim() == 2 else scores


DEFAULT_RELEARNING = Relearning()
ONE_COPY = Relearning(n_copies=1)
"""Relearning of a large model, at half the cost."""


@dataclass(frozen=True)
class Relearned:
    """Copies of a model, trained on the candidates of each question.

    Attributes:
        settings: settings of the group.
        start: the model; if it had no head, with a fitted one.
        copies: question → candidates, and the copies that were trained on them.
        learning_rate: peak learning rate of the copies.
        score: scores a batch, (batch,) float64.
        before: scores of the model, (recordings, masks); None: not yet measured.
        notes: sentences for the report.
    """

    settings: Relearning
    start: SpeechModel
    copies: Mapping[str, tuple[frozenset[str], Sequence[SpeechModel]]]
    learning_rate: float
    score: Callable[[SpeechModel, Batch], Tensor]
    before: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def train(cls, settings: Relearning, model: SpeechModel, resources: Resources) -> Measure:
        """Train the copies; no signals if there is too little to train on."""
        training = _Training(settings, model, resources)
        questions = training.questions
        rate = training.first_rate(next(iter(questions.values()))) if questions and training.fit_head() else None
        if rate is None:
            return cls(settings, model, {}, 0.0, training.score, notes=tuple(training.notes))
        groups: dict[tuple[str, ...], Sequence[SpeechModel]] = {}
        for ids in dict.fromkeys(questions.values()):
            groups[ids], rate = training.copies(ids, rate, f"relearning_{len(groups)}")
        copies = {
            name: (frozenset([*resources.candidates[name], *training.scored_auxiliary]), groups[ids])
            for name, ids in questions.items()
        }
        sizes = " and ".join(str(len(ids)) for ids in groups)
        copies_of = "1 copy" if settings.n_copies == 1 else f"{settings.n_copies} copies"
        frozen = " and its front end frozen" if model.settings_further(rate).get("freeze_front_end") else ""
        training.notes.append(
            f"Relearning trained {copies_of} of the model further, for {settings.epochs} epochs with a peak learning "
            f"rate of {rate:g}{frozen}, on {'halves of ' if settings.halves else ''}{sizes} recordings."
        )
        before = settings.measured(model, resources) if training.start is model else None
        return cls(settings, training.start, copies, rate, training.score, before, tuple(training.notes))

    def __call__(self, model: SpeechModel, batch: Batch) -> Measured:
        """Score the candidates in a batch; NaN for other recordings."""
        scalars: dict[str, Tensor] = {}
        for question, (candidates, copies) in self.copies.items():
            rows = [row for row, name in enumerate(batch.ids) if name in candidates]
            scores = batch.waveforms.new_full((2, len(batch.ids)), torch.nan, dtype=torch.float64)
            if rows:
                part = batch.take(rows)
                after = [self.score(copy.to(part.waveforms.device), part) for copy in copies]
                scores[:, rows] = torch.stack([self._before(part), torch.stack(after).mean(dim=0)])
                if not torch.isfinite(scores[:, rows]).all():
                    raise InputError(
                        f"The score of the training task is not finite for {part.ids[0]} or others after further "
                        "training: lower Relearning.rate"
                    )
            names = [of_question(column, question) for column in self.settings.columns]
            scalars |= dict(zip(names, scores, strict=True))
        return Measured(scalars)

    def _before(self, batch: Batch) -> Tensor:
        if self.before is None:
            return self.score(self.start.to(batch.waveforms.device), batch)
        draws = torch.from_numpy(self.before.loc[batch.ids].to_numpy().T.copy())
        return draws.to(batch.waveforms.device).mean(dim=0)


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

    @property
    def n_masks(self) -> int:
        """Masks over which scores are averaged."""
        return self.settings.n_masks or self.resources.n_masks

    @cached_property
    def score(self) -> Callable[[SpeechModel, Batch], Tensor]:
        """Function that scores a batch."""
        return self.settings.scoring(self.resources)

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
        questions, fits_head = self.questions, self.model.needs_targets
        if not questions or (len(self.auxiliary) < MIN_AUXILIARY and (fits_head or self._searches_rate)):
            return Work(0.0, 0.0)
        passes = task_passes(self.model, self.n_masks)
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
            tried = min(trained, per_copy * TRIAL_SECONDS)
            preparing += settings.n_copies * (trained + scored["copies"]) + scored["copies"]
            preparing += (N_TRIALS * (tried + scored["rate"]) + scored["rate"]) * searched
        evaluated = [seconds([*self.resources.candidates[name], *self.scored_auxiliary]) for name in questions]
        measures_before = fits_head or not settings.has_same_masks(self.resources)
        return Work(preparing, (measures_before + settings.n_copies) * passes * sum(evaluated))

    @cached_property
    def questions(self) -> dict[str, tuple[str, ...]]:
        """Recordings to train on, for every question that has enough."""
        chosen = {name: self._ids(ids) for name, ids in self.resources.candidates.items()}
        return {name: ids for name, ids in chosen.items() if len(ids) >= MIN_CANDIDATES}

    def _ids(self, candidates: Sequence[str]) -> tuple[str, ...]:
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

        For a model trained elsewhere, copies are trained on a part of `ids` at several rates. The part is that of one
        copy, but at most `TRIAL_SECONDS`: more would hardly change the rate, and fewer steps harm more at the same
        rate. Half of the auxiliary recordings are held out.
        """
        if self.settings.learning_rate is not None:
            return self.settings.learning_rate
        if not self._searches_rate:
            return self.settings.rate * float(self.model.hparams["learning_rate"])
        if len(self.auxiliary) < MIN_AUXILIARY:
            return None
        held_out = self.auxiliary[len(self.auxiliary) // 2 :]
        trained_on = self._tried_on(sorted(set(self._parts(ids)[0]) - set(held_out)))
        rate = largest_harmless_rate(
            lambda rate: self._copy(trained_on, rate, self.settings.seed, f"rate_{rate:g}"),
            self._held_out(held_out),
            self.notes,
        )
        return rate and rate * self.settings.rate

    def _tried_on(self, ids: Sequence[str]) -> list[str]:
        """Draw the recordings on which learning rates are tried."""
        order = [ids[i] for i in np.random.default_rng(self.settings.seed).permutation(len(ids))]
        before = np.cumsum([0.0, *self.resources.auxiliary.take(order).durations[:-1]])  # seconds before each
        return sorted(order[: max(MIN_CANDIDATES, int((before < TRIAL_SECONDS).sum()))])

    @property
    def _searches_rate(self) -> bool:
        """Whether the rate is unknown; models trained by this package have that of their configuration."""
        return self.settings.learning_rate is None and not self.model.origin.get("training")

    def _held_out(self, ids: Sequence[str]) -> HeldOut:
        recordings = self.resources.auxiliary.take(ids[:MAX_HELD_OUT])
        work = task_passes(self.start, self.n_masks) * float(recordings.durations.sum())
        count = partial(self.resources.progress.advance, work)
        return HeldOut(self.start, recordings, self.score, self.resources.batch_seconds, count)

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
