"""Rates of further training, with models that are numbers."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from lightning_mia.corpora.loading.batch import Batch
from lightning_mia.corpora.loading.datasets import Recordings
from lightning_mia.models.base import SpeechModel
from lightning_mia.signals.safe_rates import MAX_FALL, RATES, RUIN, HeldOut, largest_harmless_rate, train_safely


class Level:
    """A model that scores recordings at 0, 1, 2, … above its level."""

    device = "cpu"

    def __init__(self, level: float) -> None:
        self.level = level


def model(level: float) -> SpeechModel:
    return cast(SpeechModel, Level(level))


@pytest.fixture
def held_out(monkeypatch: pytest.MonkeyPatch) -> HeldOut:
    parts = [torch.arange(3.0), torch.arange(3.0, 5.0)]  # standard deviation √2.5
    monkeypatch.setattr("lightning_mia.signals.safe_rates.batches", lambda *_: iter(parts))

    def score(of: Any, batch: Any) -> Tensor:
        return batch + of.level

    return HeldOut(model(0.0), cast(Recordings, range(5)), cast(Callable[[SpeechModel, Batch], Tensor], score), 60.0)


SCALE = 2.5**0.5


@pytest.mark.parametrize("level", [-3.0, 0.0, 0.5])
def test_fall_is_in_standard_deviations(held_out: HeldOut, level: float) -> None:
    assert held_out.fall(model(level)) == pytest.approx(-level / SCALE)


@pytest.mark.parametrize("limit", [0.5, *RATES])
def test_bisection_finds_the_largest_harmless_rate(held_out: HeldOut, limit: float) -> None:
    tried = []

    def train(rate: float) -> SpeechModel | None:
        tried.append(rate)
        if rate > 100 * limit:
            return None  # diverges
        return model(-0.9 * MAX_FALL * SCALE * rate / limit)

    notes: list[str] = []
    expected = next(rate for rate in RATES if rate <= limit)
    assert largest_harmless_rate(train, held_out, notes) == expected
    assert len(tried) <= 4 and f"learning rate of {expected:g}" in notes[0]


def test_no_rate_is_harmless_to_a_model_that_always_falls(held_out: HeldOut) -> None:
    notes: list[str] = []
    assert largest_harmless_rate(lambda _: model(-SCALE), held_out, notes) is None
    assert notes[0].startswith("Relearning was omitted")


@pytest.mark.parametrize("fall", [RUIN - 0.1, RUIN + 0.1, float("nan")])
def test_a_ruined_copy_is_trained_again(held_out: HeldOut, fall: float) -> None:
    attempts = []

    def train(rate: float, attempt: int) -> Iterator[SpeechModel]:
        attempts.append((rate, attempt))
        yield model(0.0)
        yield model(0.0 if attempt else -fall * SCALE)

    notes: list[str] = []
    copies, rate = train_safely(train, 1e-3, held_out, notes)
    ruined = not fall <= RUIN
    assert len(copies) == 2 and attempts == [(1e-3, 0), (5e-4, 1)][: 1 + ruined]
    assert rate == attempts[-1][0] and len(notes) == ruined
    train_safely(train, 1e-3, None, notes := [])  # without held-out recordings it is not noticed
    assert not notes
