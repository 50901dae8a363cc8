from itertools import pairwise

import pytest
import torch

from lightning_mia.models.optimizer import linear_schedule, warmup_then_decay
from lightning_mia.utilities.errors import InputError


@pytest.mark.parametrize("total_steps", [1, 2, 9, 100, 1234])
def test_rises_for_a_tenth_then_falls_to_zero(total_steps: int) -> None:
    factor = warmup_then_decay(total_steps, 0.1)
    rates = [factor(step) for step in range(total_steps + 1)]
    peak = rates.index(max(rates))
    assert rates[peak] == 1
    assert rates[-1] == 0
    assert min(rates[:-1]) > 0
    assert peak == max(1, round(0.1 * total_steps)) - 1
    assert all(before < after for before, after in pairwise(rates[: peak + 1]))


def test_an_endless_training_is_refused() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(InputError, match="max_epochs"):
        linear_schedule(optimizer, float("inf"), 0.1)
