from dataclasses import replace

import pytest

from lightning_mia.evaluation.results import EachAsTarget, TprAtFpr
from lightning_mia.report.content.groups import headline_rate, headline_tpr_in_turn


def rates(*fprs: float) -> tuple[TprAtFpr, ...]:
    return tuple(TprAtFpr(fpr, fpr, (0.0, fpr), 2 * fpr, (0.0, 1.0), True) for fpr in fprs)


@pytest.mark.parametrize(
    ("fprs", "chosen"),
    [((0.001, 0.01, 0.1), 0.01), ((0.1, 0.01), 0.01), ((0.1, 0.005), 0.005), ((0.1, 0.0001), 0.1), ((0.3,), 0.3)],
)
def test_the_rate_nearest_to_one_per_cent_is_shown(fprs, chosen):
    assert headline_rate(rates(*fprs)).fpr == chosen


def test_the_mean_over_models_is_that_of_the_same_rate(planted_report):
    turns = EachAsTarget(4, 0.6, 0.1, (0.02, 0.2, 0.4), 0.5, 0.1)
    result = replace(planted_report.attacks[0], tpr_at_fpr=rates(0.001, 0.1, 0.01), in_turn=turns)
    assert headline_tpr_in_turn(result) == 0.4
    assert headline_tpr_in_turn(replace(result, in_turn=None)) is None
    assert headline_tpr_in_turn(replace(result, tpr_at_fpr=())) is None
    assert headline_rate(()) is None
