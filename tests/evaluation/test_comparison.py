from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from lightning_mia.evaluation import Difference, Scores
from lightning_mia.evaluation.paired import versus_wrong_model
from lightning_mia.evaluation.statistics.bootstrap import bootstrap_auroc, draw_speakers

MakeScores = Callable[..., Scores]


def compare(scores: Scores, wrong: Scores, n_bootstraps: int = 300) -> Difference:
    draws = draw_speakers(scores.speakers, scores.members, n_bootstraps, seed=0)
    return versus_wrong_model(scores, wrong, draws, bootstrap_auroc(scores.values, scores.members, draws))


def test_bound_is_students_t_on_paired_replicates(make_scores: MakeScores) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores(seed=2)
    draws = draw_speakers(scores.speakers, scores.members, 300, seed=0)
    replicates = [bootstrap_auroc(one.values, one.members, draws) for one in (scores, wrong)]
    spread = (replicates[0] - replicates[1]).std(ddof=1)
    found = compare(scores, wrong)
    assert found.standard_error == pytest.approx(spread)
    assert found.lower95 == pytest.approx(found.value - student.ppf(0.95, 9) * spread)
    assert found.lower95 > 0


def test_a_model_against_itself_differs_in_nothing(make_scores: MakeScores) -> None:
    scores = make_scores(leak=1.0)
    assert compare(scores, scores) == Difference(0.0, 0.0, 0.0, compare(scores, scores).auroc_wrong_model)


def test_two_sided_attacks_take_the_direction_of_the_target_and_pay_for_it(make_scores: MakeScores) -> None:
    scores, wrong = make_scores(leak=1.0, seed=1), make_scores(seed=2)
    up = compare(replace(scores, two_sided=True), wrong)
    down = compare(replace(scores, two_sided=True, values=-scores.values), replace(wrong, values=-wrong.values))
    assert down.value == pytest.approx(up.value)
    assert down.lower95 == pytest.approx(up.lower95, abs=1e-9)
    assert down.auroc_wrong_model == pytest.approx(1 - up.auroc_wrong_model)
    assert up.lower95 == pytest.approx(up.value - student.ppf(0.975, 9) * up.standard_error)


@pytest.mark.slow
@pytest.mark.parametrize(("two_sided", "confound"), [(False, 0.0), (True, 0.0), (False, 1.5), (True, 1.5)])
def test_models_that_cannot_know_are_told_apart_in_five_percent(
    make_scores: MakeScores, two_sided: bool, confound: float
) -> None:
    """Also where both tell members from non-members by something else: at 1.5 their AUROC is .77."""
    alarms = []
    for seed in range(250):
        target = make_scores(two_sided=two_sided, leak=confound, seed=2 * seed)
        wrong = make_scores(leak=confound, seed=2 * seed + 1)
        alarms.append(compare(target, wrong, n_bootstraps=200).lower95 > 0)
    assert 0.01 < np.mean(alarms) < 0.09


def test_too_few_speakers_bound_nothing(make_scores: MakeScores) -> None:
    scores = make_scores(n_speakers=1, leak=3.0)
    assert compare(scores, make_scores(n_speakers=1)).lower95 == -1.0


def test_units_that_the_wrong_model_did_not_judge_are_our_fault(make_scores: MakeScores) -> None:
    with pytest.raises(ValueError, match="lacks 20 of the units"):
        compare(make_scores(n_speakers=10), make_scores(n_speakers=9))
