import numpy as np
import pytest

from lightning_mia.evaluation.statistics.permutation import holm


def step_down(p_values: list[float], alpha: float) -> list[bool]:
    """Holm's procedure as he wrote it: reject the smallest while p ≤ α / (hypotheses left)."""
    rejected = [False] * len(p_values)
    for rank, place in enumerate(np.argsort(p_values)):
        if p_values[place] > alpha / (len(p_values) - rank):
            break
        rejected[place] = True
    return rejected


@pytest.mark.parametrize("seed", range(20))
def test_what_is_below_alpha_after_correction_is_what_the_procedure_rejects(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 3, size=12).tolist()
    assert [value <= 0.05 for value in holm(p)] == step_down(p, 0.05)


def test_no_test_needs_no_correction() -> None:
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
