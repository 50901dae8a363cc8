"""Learning rates at which further training neither diverges nor ruins a model."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.runner.loop import batches
from lightning_mia.utilities.errors import InputError

log = logging.getLogger(__name__)

RATES = (1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5, 1e-5)
"""Learning rates for a model whose own is unknown, in descending order."""
N_TRIALS = math.log2(len(RATES) + 1)
"""Expected number of rates that bisection tries."""
MAX_FALL = 0.25
"""Fall of the held-out score, at most, at a learning rate that is chosen (standard deviations)."""
RUIN = 1.0
"""Fall of the held-out score beyond which a model counts as ruined (standard deviations)."""
MAX_HALVINGS = 6


@dataclass(frozen=True)
class HeldOut:
    """Score of the training task on recordings that copies are not trained on.

    Attributes:
        model: the model.
        recordings: held-out recordings, 2 or more.
        score: scores a batch, (batch,).
        batch_seconds: audio in one batch (seconds).
        count: called after each scoring of all recordings.
    """

    model: SpeechModel
    recordings: Recordings
    score: Callable[[SpeechModel, Batch], Tensor]
    batch_seconds: float
    count: Callable[[], object] = lambda: None

    def fall(self, copy: SpeechModel) -> float:
        """Return by how much the mean score of a copy is lower.

        In standard deviations over the recordings under the model itself.
        """
        scale = self._before.std().clamp(min=torch.finfo(torch.float64).tiny)
        return float((self._before.mean() - self._scores(copy).mean()) / scale)

    @cached_property
    def _before(self) -> Tensor:
        return self._scores(self.model)

    def _scores(self, model: SpeechModel) -> Tensor:
        with torch.no_grad():
            loop = batches(self.recordings, self.batch_seconds, self.model.device)
            scores = torch.cat([self.score(model, batch).double() for batch in loop])
        self.count()
        return scores


def largest_harmless_rate(
    train: Callable[[float], SpeechModel | None], held_out: HeldOut, notes: list[str]
) -> float | None:
    """Find the largest of `RATES` at which the held-out score falls little.

    By bisection.

    Args:
        train: trains a copy at a rate, not on the held-out recordings; None: the training diverged.
        held_out: held-out recordings.
        notes: gets a sentence for the report.

    Returns:
        The rate; None if the score falls by more than `MAX_FALL` at every rate.
    """
    limit = f"{MAX_FALL:g} standard deviations"
    first, after = 0, len(RATES)  # the rate sought is in RATES[first : after + 1], if there is one
    while first < after:  # the fall grows with the rate
        middle = (first + after) // 2
        if _is_harmless(train(RATES[middle]), held_out):  # no name, so that the copy is gone before the next
            after = middle
        else:
            first = middle + 1
    if first == len(RATES):
        notes.append(
            "Relearning was omitted: at every learning rate, further training lowered the score of held-out auxiliary "
            f"recordings by more than {limit}."
        )
        return None
    notes.append(
        f"Relearning chose a learning rate of {RATES[first]:g}, the largest of {len(RATES)} at which the score of "
        f"{len(held_out.recordings)} held-out auxiliary recordings fell by at most {limit}."
    )
    return RATES[first]


def _is_harmless(copy: SpeechModel | None, held_out: HeldOut) -> bool:
    return copy is not None and held_out.fall(copy) <= MAX_FALL


def train_safely(
    train: Callable[[float, int], Iterator[SpeechModel | None]], rate: float, held_out: HeldOut | None, notes: list[str]
) -> tuple[list[SpeechModel], float]:
    """Train copies; halve the rate while one diverges or is ruined.

    Args:
        train: trains the copies, given rate and number of the attempt; None: the training diverged.
        rate: first learning rate.
        held_out: recordings that no copy is trained on; None: a ruined model is not noticed.
        notes: gets a sentence for the report about every halving.

    Returns:
        The copies, and their learning rate.

    Raises:
        InputError: this happens at every rate.
    """
    for attempt in range(MAX_HALVINGS):
        trained: list[SpeechModel] = []
        problem = ""
        for copy in train(rate, attempt):
            if problem := _problem(copy, held_out):
                break
            assert copy is not None
            trained.append(copy)
        if not problem:
            return trained, rate
        rate /= 2
        notes.append(f"Further training {problem}, so that its learning rate was halved to {rate:g}.")
        log.warning(notes[-1])
    raise InputError(
        f"Further training {problem} even at a learning rate of {rate * 2:g}: give Relearning.learning_rate"
    )


def _problem(copy: SpeechModel | None, held_out: HeldOut | None) -> str:
    """Say what is wrong with a copy; empty: nothing."""
    if copy is None:
        return "diverged"
    if held_out is not None and not (fall := held_out.fall(copy)) <= RUIN:  # true for NaN as well
        return f"lowered the score of held-out auxiliary recordings by {fall:.1f} standard deviations"
    return ""
