"""Copies of a model that relearn the candidates, and their learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.base import Resources
from lightning_mia.signals.safe_rates import HeldOut, largest_harmless_rate, train_safely

if TYPE_CHECKING:
    from lightning_mia.signals.relearning import Relearning

MIN_CANDIDATES = 20
MIN_AUXILIARY = 40  # half of them are held out
HEAD_RATE = 1e-3  # learning rate of a new head
MIN_HELD_OUT, MAX_HELD_OUT = 20, 100  # auxiliary recordings that are scored after further training
TRIAL_SECONDS = 240.0  # audio on which learning rates are tried; with less, the steps are too few to tell


@dataclass
class CopyTraining:
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

        For a model trained elsewhere, copies are trained on a part of `ids` at several rates. The part is that of one
        copy, but at most `TRIAL_SECONDS`: more would hardly change the rate, and fewer steps harm more at the same
        rate. Half of the auxiliary recordings are held out.
        """
        if self.settings.learning_rate is not None:
            return self.settings.learning_rate
        if self.model.origin.get("training"):  # trained by this package, with the learning rate of its configuration
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
        n = max(MIN_CANDIDATES, math.ceil(TRIAL_SECONDS / self.resources.median_seconds))
        order = np.random.default_rng(self.settings.seed).permutation(len(ids))
        return sorted(ids[i] for i in order[:n])

    def _held_out(self, ids: Sequence[str]) -> HeldOut:
        recordings = self.resources.auxiliary.take(ids[:MAX_HELD_OUT])
        return HeldOut(self.start, recordings, self.score, self.resources.batch_seconds)

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
