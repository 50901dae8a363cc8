"""Limits of the blind baseline."""

import pytest

from lightning_mia.evaluation import AttackResult, BlindResult
from lightning_mia.evaluation.blind_verdict import blind_obstacle, drawn_limit


def blind(p_value: float, n_labellings: int | None) -> BlindResult:
    result = AttackResult("blind", "speaker", "none", 6, 6, 12, 0.7, (0.5, 0.9), p_value, None, False, 0.1, 0.1, ())
    return BlindResult(result, 0.9, n_labellings, clean_refused=0.9, growth_needed=30.0)


@pytest.mark.parametrize(
    ("n_labellings", "limit"),
    [(70, 0.05), (252, 5 / 252), (924, 5 / 924), (3432, 5 / 3432), (12870, 0.001), (None, 0.001)],
)
def test_the_limit_of_a_drawn_split_depends_on_its_labellings(n_labellings: int | None, limit: float) -> None:
    assert drawn_limit(n_labellings) == limit


@pytest.mark.parametrize("n_labellings", [70, 252, 924, 3432, 12870, 184_756])
def test_a_labelling_and_its_complement_can_be_refused(n_labellings: int) -> None:
    assert blind_obstacle([blind(2 / n_labellings, n_labellings)], drawn=True)
    assert not blind_obstacle([blind(0.05, n_labellings)], drawn=True)


def test_a_split_that_is_too_small_is_told_what_to_bring() -> None:
    reason = blind_obstacle([blind(0.5, 924)], drawn=False)
    assert "is 0.90, above 0.60; a clean split of this size is refused in 90 % of cases" in reason
    assert reason.endswith("bring about 180 + 180 speakers")
